/**
 * Reads of lists: bounded by rows and by bytes, a few rows at a time, so that those who write are served in between.
 *
 * **Details**
 *
 * - A slice is read in about a millisecond. Of all lists that are being read, one reads a slice in a turn of the event
 *   loop; a write waits for one slice, however many read.
 * - Few lists are read at the same time, and others wait: what is in memory is a few pages, however many ask.
 */
import { Context, Effect, Layer, Semaphore } from "effect"

/** Bytes of JSON that a page has, or a little more: at least one row is on it. */
export const maxPageBytes = 1024 * 1024

const listsAtOnce = 8
const bytesOfSlice = 128 * 1024
const rowsOfFirstSlice = 16
const rowsOfSlice = 256

export interface PageOptions<Row, E, R> {
  /** Rows at most. Default: as many as there are. */
  readonly limit?: number | undefined
  /** Default `maxPageBytes`. */
  readonly maxBytes?: number | undefined
  /** Reads at most so many rows, those after the last one that is on the page. Fewer mean that there are no more. */
  readonly read: (
    count: number,
    last: Row | undefined,
    index: number
  ) => Effect.Effect<ReadonlyArray<Row>, E, R>
}

/** Which part of a list that has no better way to go on. */
export interface Offset {
  /** Default: as many as a page has bytes for. */
  readonly limit?: number | undefined
  /** How many come before. Default 0. */
  readonly offset?: number | undefined
}

export interface Page<Row> {
  readonly rows: ReadonlyArray<Row>
  /** There are other rows after these. */
  readonly has_more: boolean
}

/** About as many bytes as a row has as JSON; exact enough for a bound. */
const bytesOf = (row: object): number => {
  let bytes = 2
  for (const value of Object.values(row)) {
    bytes += 16 + (typeof value === "string" ? Buffer.byteLength(value) : 8)
  }
  return bytes
}

export class Pages extends Context.Service<
  Pages,
  {
    /**
     * Reads one page of a list.
     *
     * @example
     * ```ts
     * pages.page({ limit, read: (count, last) => sql`… WHERE id > ${last?.id ?? ""} ORDER BY id LIMIT ${count}` })
     * ```
     */
    readonly page: <Row extends object, E, R>(
      options: PageOptions<Row, E, R>
    ) => Effect.Effect<Page<Row>, E, R>
  }
>()("@agentlip/hub/Pages") {
  static readonly layer: Layer.Layer<Pages> = Layer.effect(
    Pages,
    Effect.gen(function* () {
      const lists = yield* Semaphore.make(listsAtOnce)
      const slices = yield* Semaphore.make(1)

      const page = <Row extends object, E, R>({
        limit = Number.POSITIVE_INFINITY,
        maxBytes = maxPageBytes,
        read
      }: PageOptions<Row, E, R>) =>
        Effect.gen(function* () {
          const rows: Array<Row> = []
          let bytes = 0
          let count = rowsOfFirstSlice
          while (true) {
            // One more than may be on the page tells whether there are more.
            const wanted = Math.min(count, limit + 1 - rows.length)
            const slice = yield* slices.withPermit(
              Effect.tap(read(wanted, rows.at(-1), rows.length), () => Effect.yieldNow)
            )
            for (const row of slice) {
              if (rows.length >= limit) return { rows, has_more: true }
              bytes += bytesOf(row)
              if (bytes > maxBytes && rows.length > 0) return { rows, has_more: true }
              rows.push(row)
            }
            if (slice.length < wanted) return { rows, has_more: false }
            const average = bytes / rows.length
            count = Math.max(1, Math.min(rowsOfSlice, Math.floor(bytesOfSlice / average)))
          }
        }).pipe(lists.withPermit)

      return Pages.of({ page })
    })
  )
}
