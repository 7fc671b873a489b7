/**
 * A result cache in the hub's database, behind a cache in memory.
 *
 * A written entry waits for the next flush, and for the following one if that flush fails. If more than `maxWaiting`
 * bytes wait, further entries stay in memory only. A read that misses memory is one lookup by primary key. A failing
 * database causes misses, never errors: the first failure and the recovery are logged, and all failures are counted.
 */
import { type CacheBounds, ResultCache } from "@agentlip/plugin-runtime"
import { Clock, Context, type Duration, Effect, Layer, type Scope } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { Outage } from "../database/Outage.ts"

export interface StoreOptions {
  /** Bounds of the cache in the database. Default 100,000 entries and 256 MiB. */
  readonly stored?: CacheBounds
  /** Bounds of the cache in memory. Default 10,000 entries and 32 MiB. */
  readonly memory?: CacheBounds
  /** Time between two flushes. Default 1 second. */
  readonly flushEvery?: Duration.Input
}

/** Bytes that may wait for the next flush. */
const maxWaiting = 4 * 2 ** 20

/** Rows written or removed by one statement. */
const batch = 100

const chunks = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / batch) }, (_, index) =>
    all.slice(index * batch, (index + 1) * batch)
  )

/** Creates the table if it is missing. It needs no migrations: its content can be computed again. */
const prepare = (sql: SqlClient.SqlClient) =>
  Effect.gen(function* () {
    yield* sql`CREATE TABLE IF NOT EXISTS plugin_results (
      key TEXT PRIMARY KEY, plugin TEXT NOT NULL, output TEXT NOT NULL, bytes BIGINT NOT NULL, used_at BIGINT NOT NULL
    )`
    yield* sql`CREATE INDEX IF NOT EXISTS plugin_results_by_use ON plugin_results (used_at)`
  })

/** Removes some of the outputs for which the condition is true, the least recently used first. */
const removeSome = (
  sql: SqlClient.SqlClient,
  condition: Statement.Fragment
): Effect.Effect<number, SqlError.SqlError> =>
  Effect.map(
    sql`
      DELETE FROM plugin_results WHERE key IN
        (SELECT key FROM plugin_results WHERE ${condition} ORDER BY used_at LIMIT ${batch}) RETURNING key`,
    ({ length }) => length
  )

/** Removes some outputs that no run has used since this time. Returns how many; 0 if there are no more. */
export const removeUnused = (sql: SqlClient.SqlClient, since: number) =>
  removeSome(sql, sql`used_at < ${since}`)

/** Removes some outputs that a run has used since this time. Returns how many; 0 if there are no more. */
export const removeUsed = (sql: SqlClient.SqlClient, since: number) =>
  removeSome(sql, sql`used_at >= ${since}`)

/** How many outputs no run has used since this time. Creates the table if it is missing. */
export const countUnused = (
  sql: SqlClient.SqlClient,
  since: number
): Effect.Effect<number, SqlError.SqlError> =>
  Effect.gen(function* () {
    yield* prepare(sql)
    const [row] = yield* sql<{ n: number | string }>`
      SELECT count(*) AS n FROM plugin_results WHERE used_at < ${since}`
    return Number(row?.n ?? 0)
  })

const make = (
  options: StoreOptions
): Effect.Effect<ResultCache["Service"], never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const memory = Context.get(yield* Layer.build(ResultCache.layerMemory(options.memory)), ResultCache)
    const maxEntries = options.stored?.entries ?? 100_000
    const maxBytes = options.stored?.bytes ?? 256 * 2 ** 20
    const waiting = new Map<string, { readonly plugin: string; readonly output: string }>()
    const used = new Set<string>()
    let waitingSize = 0
    let held = { entries: 0, bytes: 0 }
    let failures = 0

    const outage = new Outage({
      begun: "the result cache's database failed; plugins run instead",
      ended: "the result cache's database works again"
    })

    /** Returns `undefined` if the database fails. */
    const tried = <A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A | undefined> =>
      effect.pipe(
        Effect.tap(outage.over),
        Effect.catchTag("SqlError", (error) => {
          failures++
          return Effect.as(outage.log(error), undefined)
        })
      )

    const count = Effect.gen(function* () {
      const [row] = yield* sql<{ entries: number | string; bytes: number | string }>`
        SELECT count(*) AS entries, COALESCE(sum(bytes), 0) AS bytes FROM plugin_results`
      held = { entries: Number(row?.entries ?? 0), bytes: Number(row?.bytes ?? 0) }
    })

    const isOver = (share: number): boolean =>
      held.entries > maxEntries * share || held.bytes > maxBytes * share

    /**
     * Removes the least recently used entries until a tenth of the bounds is free, so that the next writes need no
     * eviction.
     */
    const evict = Effect.gen(function* () {
      if (!isOver(1)) return
      // Count again: entries may have been pruned.
      yield* count
      if (!isOver(1)) return
      while (held.entries > 0 && isOver(0.9)) {
        const gone = yield* sql<{ bytes: number | string }>`
          DELETE FROM plugin_results WHERE key IN
            (SELECT key FROM plugin_results ORDER BY used_at LIMIT ${batch}) RETURNING bytes`
        if (gone.length === 0) return
        held.entries -= gone.length
        for (const { bytes } of gone) held.bytes -= Number(bytes)
      }
    })

    let prepared = false
    const begin = Effect.andThen(
      Effect.andThen(prepare(sql), count),
      Effect.sync(() => {
        prepared = true
      })
    )

    const flush = Effect.gen(function* () {
      if (!prepared) yield* begin
      const written = [...waiting]
      const touched = [...used]
      used.clear()
      const used_at = yield* Clock.currentTimeMillis
      for (const some of chunks(written)) {
        const rows = some.map(([key, { plugin, output }]) => {
          const bytes = Buffer.byteLength(output)
          return { key, plugin, output, bytes, used_at }
        })
        const [first, ...rest] = rows
        if (first === undefined) continue
        const keys = rows.map(({ key }) => key)
        yield* sql
          .withTransaction(
            Effect.gen(function* () {
              const replaced = yield* sql<{ bytes: number | string }>`
              DELETE FROM plugin_results WHERE ${sql.in("key", keys)} RETURNING bytes`
              yield* sql`INSERT INTO plugin_results ${sql.insert([first, ...rest])}`
              return replaced
            })
          )
          .pipe(
            Effect.map((replaced) => {
              // Remove entries only after the commit, so that entries that could not be written wait for the next
              // flush.
              for (const { key, output } of rows) {
                if (waiting.get(key)?.output !== output) continue
                waiting.delete(key)
                waitingSize -= Buffer.byteLength(output)
              }
              held.entries += rows.length - replaced.length
              for (const { bytes } of rows) held.bytes += bytes
              for (const { bytes } of replaced) held.bytes -= Number(bytes)
            })
          )
      }
      for (const keys of chunks(touched)) {
        yield* sql`UPDATE plugin_results SET used_at = ${used_at} WHERE ${sql.in("key", keys)}`
      }
      yield* evict
    })

    yield* tried(begin)
    yield* Effect.addFinalizer(() => tried(flush))
    yield* Effect.sleep(options.flushEvery ?? "1 second").pipe(
      Effect.andThen(Effect.suspend(() => (waiting.size + used.size === 0 ? Effect.void : tried(flush)))),
      Effect.forever,
      Effect.forkScoped
    )

    const find = (key: string): Effect.Effect<string | undefined> =>
      Effect.flatMap(
        tried(sql<{ plugin: string; output: string }>`
          SELECT plugin, output FROM plugin_results WHERE key = ${key}`),
        (rows) => {
          const row = rows?.[0]
          if (row === undefined) return Effect.undefined
          used.add(key)
          return Effect.as(memory.set(key, row.plugin, row.output), row.output)
        }
      )

    return ResultCache.of({
      get: (key) =>
        Effect.flatMap(memory.get(key), (text) => {
          if (text === undefined) return find(key)
          // Bounded: beyond this many keys between two flushes, further uses are not recorded.
          if (used.size < maxEntries) used.add(key)
          return Effect.succeed(text)
        }),
      set: (key, plugin, output) =>
        Effect.andThen(
          memory.set(key, plugin, output),
          Effect.sync(() => {
            // Skip texts with U+0000: PostgreSQL cannot store them and would refuse the whole batch. JSON never
            // contains one.
            if (`${key}${plugin}${output}`.includes("\0")) return
            const size = Buffer.byteLength(output)
            if (size > maxBytes || waitingSize + size > maxWaiting) return
            const replaced = waiting.get(key)
            waitingSize += size - (replaced === undefined ? 0 : Buffer.byteLength(replaced.output))
            waiting.set(key, { plugin, output })
          })
        ),
      stats: Effect.sync(() => ({ ...held, failures }))
    })
  })

/** A result cache that survives restarts of the hub. Waiting entries are written when its scope closes. */
export const layer = (options: StoreOptions = {}): Layer.Layer<ResultCache, never, SqlClient.SqlClient> =>
  Layer.effect(ResultCache, make(options))
