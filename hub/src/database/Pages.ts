/**
 * Reads pages of lists: bounded by rows and bytes, a few rows at a time, so that writes can run in between.
 *
 * **Details**
 *
 * - Reading a slice takes about a millisecond. Only one list reads a slice in each turn of the event loop, so a write
 *   waits for one slice, however many lists are read.
 * - Only a few lists are read at the same time and others wait, so memory holds only a few pages.
 */
import { Context, Effect, Layer, Semaphore } from "effect"

/** Bytes of JSON on a page, roughly. A page has at least one row, even a larger one. */
export const maxPageBytes = 1024 * 1024

const listsAtOnce = 8
const bytesOfSlice = 128 * 1024
const rowsOfFirstSlice = 16
const rowsOfSlice = 256

export interface PageOptions<Row, E, R> {
  /** Most rows on the page. Default: no limit. */
  readonly limit?: number | undefined
  /** Default `maxPageBytes`. */
  readonly maxBytes?: number | undefined
  /** Read all rows at once: for short rows whose order can change between two slices. Default `false`. */
  readonly atOnce?: boolean | undefined
  /** Reads at most `count` rows after `last`, the last row on the page. Fewer rows mean the list has ended. */
  readonly read: (
    count: number,
    last: Row | undefined,
    index: number
  ) => Effect.Effect<ReadonlyArray<Row>, E, R>
}

/** The page of a list that has no cursor. */
export interface Offset {
  /** Default: as many as fit into a page's byte bound. */
  readonly limit?: number | undefined
  /** Rows to skip. Default 0. */
  readonly offset?: number | undefined
}

export interface Page<Row> {
  readonly rows: ReadonlyArray<Row>
  /** True if more rows follow. */
  readonly has_more: boolean
}

/** The approximate size of a row as JSON. */
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
        atOnce = false,
        read
      }: PageOptions<Row, E, R>) =>
        Effect.gen(function* () {
          const rows: Array<Row> = []
          let bytes = 0
          let count = atOnce ? limit + 1 : rowsOfFirstSlice
          while (true) {
            // Read one row more than fits, to know if there are more.
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
