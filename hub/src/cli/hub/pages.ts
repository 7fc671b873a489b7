/** Reads lists of any length, page by page. */
import { Effect } from "effect"

/** Most rows of one page of the API. */
const pageSize = 1_000

interface Page<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly has_more: boolean
}

/** The first `limit` rows of a list. `read` gets how many to read, and the rows that are there. */
export const collect = Effect.fnUntraced(function* <Row, E, R>(
  limit: number,
  read: (count: number, rows: ReadonlyArray<Row>) => Effect.Effect<Page<Row>, E, R>
) {
  const rows: Array<Row> = []
  while (true) {
    const page = yield* read(Math.min(pageSize, limit - rows.length), rows)
    rows.push(...page.rows)
    // A page that is not the last one has rows. Otherwise the loop would not end.
    const isLast = !page.has_more || page.rows.length === 0
    if (isLast || rows.length >= limit) return { rows, has_more: page.has_more }
  }
})

/** All rows of a list. */
export const collectAll = <Row, E, R>(
  read: (count: number, rows: ReadonlyArray<Row>) => Effect.Effect<Page<Row>, E, R>
) => Effect.map(collect(Number.POSITIVE_INFINITY, read), ({ rows }) => rows)
