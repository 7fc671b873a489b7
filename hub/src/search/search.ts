/** Reads the search index. It needs no hub, only a database with the hub's tables, which it does not change. */
import { InvalidInput, type SearchIn, type SearchIndex, type SearchResult } from "@agentlip/protocol"
import { Effect, Result } from "effect"
import type { SqlClient } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { maxPageBytes } from "../database/Pages.ts"
import { fts5Of, tsqueryOf } from "./expressions.ts"
import { indexOf } from "./progress.ts"
import { parseQuery, type Query } from "./Query.ts"
import { type DocumentRow, resultOf } from "./results.ts"

export interface SearchQuery {
  readonly q: string
  /** Default `both`. */
  readonly in?: SearchIn | undefined
  readonly channel_id?: string | undefined
  readonly topic_id?: string | undefined
  readonly sender?: string | undefined
  /** A date or a time in ISO 8601. */
  readonly created_after?: string | undefined
  readonly created_before?: string | undefined
  /** Default 20. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: string | undefined
}

export interface SearchAnswer {
  readonly results: ReadonlyArray<SearchResult>
  /** The `after` of the next page; `null` on the last one. */
  readonly next: string | null
  readonly index: SearchIndex
}

/** Documents that one statement takes from the index. */
const fewCandidates = 64
const manyCandidates = 512

/** Numbers that one statement looks at: bounds its time if words are frequent but never occur together. */
const numbersAtOnce = 65_536

/** Candidates that one search looks at. Then it returns what it has, and continues on the next page. */
const mostCandidates = 32_768

/** Results whose rows are read at once. */
const resultsAtOnce = 16

interface Candidate {
  readonly number: number
  /** 1 if it passes the filters. */
  readonly passes: number
}

/** A time as rows have it. It is in UTC if it has no offset. */
const storedTime = (name: "created_after" | "created_before", time: string | undefined) => {
  if (time === undefined) return Effect.undefined
  const millis = Date.parse(time.includes("T") && !/(Z|[+-]\d\d:\d\d)$/.test(time) ? `${time}Z` : time)
  return Number.isNaN(millis)
    ? Effect.fail(new InvalidInput({ error: `${name}: there is no such date or time: ${time}` }))
    : Effect.succeed(new Date(millis).toISOString())
}

const asked = (text: string): Effect.Effect<Query, InvalidInput> =>
  Result.match(parseQuery(text), {
    onSuccess: Effect.succeed,
    onFailure: ({ message, at, length }) =>
      Effect.fail(
        new InvalidInput({
          error: `q: at character ${at + 1}: ${message}`,
          details: { part: "query", issues: [{ path: "q", message }], at, length }
        })
      )
  })

/** Where a page starts: below this number. */
const startOf = (after: string | undefined): Effect.Effect<number, InvalidInput> =>
  after === undefined
    ? Effect.succeed(Number.MAX_SAFE_INTEGER)
    : /^\d{1,15}$/.test(after)
      ? Effect.succeed(Number(after))
      : Effect.fail(new InvalidInput({ error: "after: must be the next of a page of the same search" }))

const bytesOf = (result: SearchResult): number => Buffer.byteLength(JSON.stringify(result))

/** The statements of a search. */
const makeReads = (sql: SqlClient.SqlClient, query: Query, filters: SearchQuery) => {
  const found = sql.onDialectOrElse({
    pg: () => sql`SELECT number FROM search_documents WHERE words @@ ${tsqueryOf(query)}::tsquery AND number`,
    orElse: () =>
      sql`SELECT rowid AS number FROM search_words WHERE search_words MATCH ${fts5Of(query)} AND rowid`
  })
  const by = sql.literal(sql.onDialectOrElse({ pg: () => "number", orElse: () => "rowid" }))
  const { in: where = "both", channel_id, topic_id, sender, created_after, created_before } = filters
  const passes = sql.and([
    // What was removed a moment ago may still be in the index of this statement.
    sql`(m.id IS NOT NULL OR a.id IS NOT NULL)`,
    ...(where === "messages" ? [sql`m.id IS NOT NULL`] : []),
    ...(where === "attachments" ? [sql`a.id IS NOT NULL`] : []),
    ...(channel_id === undefined ? [] : [sql`t.channel_id = ${channel_id}`]),
    ...(topic_id === undefined ? [] : [sql`t.id = ${topic_id}`]),
    ...(sender === undefined ? [] : [sql`COALESCE(m.sender, source.sender) = ${sender}`]),
    ...(created_after === undefined ? [] : [sql`COALESCE(m.created_at, a.created_at) >= ${created_after}`]),
    ...(created_before === undefined ? [] : [sql`COALESCE(m.created_at, a.created_at) < ${created_before}`])
  ])
  const rows = sql.literal(`
    LEFT JOIN messages m ON m.id = d.message_id
    LEFT JOIN attachments a ON a.id = d.attachment_id
    LEFT JOIN topics t ON t.id = COALESCE(m.topic_id, a.topic_id)`)
  const givenNumbers = Dialect.given(sql, { number: "bigint" })

  /** Documents with these words whose number is below `below` and not below `from`, newest first. */
  const candidates = (below: number, from: number, count: number) => sql<Candidate>`
    SELECT d.number, CASE WHEN ${passes} THEN 1 ELSE 0 END AS passes
    FROM (${found} < ${below} AND ${by} >= ${from} ORDER BY ${by} DESC LIMIT ${count}) found
    JOIN search_documents d ON d.number = found.number ${rows}
    LEFT JOIN messages source ON source.id = a.source_message_id
    ORDER BY d.number DESC`

  const documents = (numbers: ReadonlyArray<number>) => sql<DocumentRow>`
    SELECT d.number, d.message_id, m.content_raw, m.sender, m.version, m.edited_at, d.attachment_id, a.kind, a.key,
      a.value_json, a.dedupe_key, a.source_message_id, COALESCE(m.created_at, a.created_at) AS created_at,
      t.id AS topic_id, t.channel_id, t.title AS topic_title, c.name AS channel_name
    FROM search_documents d ${rows} LEFT JOIN channels c ON c.id = t.channel_id
    WHERE d.number IN (SELECT number FROM ${givenNumbers(numbers.map((number) => ({ number })))})
      AND (a.id IS NOT NULL OR m.deleted_at IS NULL)
    ORDER BY d.number DESC`

  const oldest = Effect.map(
    sql<{ number: number | null }>`SELECT min(number) AS number FROM search_documents`,
    ([row]) => row?.number ?? Number.MAX_SAFE_INTEGER
  )
  const newest = Effect.map(
    sql<{ number: number | null }>`SELECT max(number) AS number FROM search_documents`,
    ([row]) => row?.number ?? -1
  )
  return { candidates, documents, oldest, newest }
}

/**
 * Searches messages and attachments, newest first.
 *
 * **Details**: a page ends at `limit`, at 1 MiB, or after a bounded amount of work; `next` continues it. Others can use
 * the connection in between.
 *
 * **Errors**: `InvalidInput` if the query has a mistake. Its text and `details.at` say where.
 *
 * @example
 * ```ts
 * const { results } = yield* search(sql, { q: 'deploy "on friday" -draft', sender: "ada" })
 * ```
 */
export const search = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, given: SearchQuery) {
  const { limit = 20 } = given
  const query = yield* asked(given.q)
  const reads = makeReads(sql, query, {
    ...given,
    created_after: yield* storedTime("created_after", given.created_after),
    created_before: yield* storedTime("created_before", given.created_before)
  })
  const start = yield* startOf(given.after)
  const oldest = yield* reads.oldest
  let below = Math.min(start, (yield* reads.newest) + 1)
  const results: Array<SearchResult> = []
  let bytes = 0
  let last = 0

  /** Adds results to the page. Returns true if there is one more than fits. */
  const take = Effect.fnUntraced(function* (numbers: ReadonlyArray<number>) {
    for (let at = 0; at < numbers.length; at += resultsAtOnce) {
      for (const row of yield* reads.documents(numbers.slice(at, at + resultsAtOnce))) {
        const result = resultOf(query, row)
        if (result === undefined) continue
        const size = bytesOf(result)
        bytes += size
        if (results.length === limit || (results.length > 0 && bytes > maxPageBytes)) return true
        results.push(result)
        last = row.number
      }
      yield* Effect.yieldNow
    }
    return false
  })

  const read = Effect.gen(function* () {
    let count = fewCandidates
    for (let seen = 0; seen < mostCandidates; ) {
      if (below <= oldest) return null
      const from = Math.max(oldest, below - numbersAtOnce)
      const some = yield* reads.candidates(below, from, count)
      const isFull = yield* take(some.filter(({ passes }) => passes === 1).map(({ number }) => number))
      if (isFull) return String(last)
      // Fewer than asked for: there are no more among these numbers.
      below = some.length < count ? from : (some.at(-1)?.number ?? from)
      seen += some.length
      count = manyCandidates
      yield* Effect.yieldNow
    }
    return String(below)
  })

  const next: string | null = yield* read
  const answer: SearchAnswer = { results, next, index: yield* indexOf(sql) }
  return answer
})
