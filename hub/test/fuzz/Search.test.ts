/** Queries and texts of any kind: a search has results, or says where its query has a mistake. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Exit, Result, Schema, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { times } from "../../../test/support/fuzz.ts"
import { fts5Of, tsqueryOf } from "../../src/search/expressions.ts"
import { matches } from "../../src/search/matches.ts"
import { parseQuery } from "../../src/search/Query.ts"
import { snippetOf } from "../../src/search/snippets.ts"
import { wordsOf } from "../../src/search/words.ts"
import { onPostgres } from "../testDatabase.ts"
import { makeTopic, startHub, type TestHub } from "../testHub.ts"

const pieces = [
  ...'foo|fooBar|ba*|bar|"|"a b"|(|)|OR|AND|NOT|-|NEAR(|NEAR(a foo, 3)|,|5|:|^|*|+|{|}|content_raw :'.split(
    "|"
  ),
  ..."\u0000 \ud800 🚀 👩‍💻 日本 é ' \\ -- ; % & ! <-> \n ａ ß \u200d \u0301 İ".split(" "),
  "x".repeat(80)
]

const textOf = (most: number) =>
  Arbitrary.map(
    Arbitrary.all({
      parts: Arbitrary.array(
        Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: pieces.length - 1 }))),
        { minLength: 1, maxLength: most }
      ),
      space: Arbitrary.schema(Schema.Literals(["", " "]))
    }),
    ({ parts, space }) => parts.map((part) => pieces[part] ?? "").join(space)
  )

const scope = Scope.makeUnsafe()
let started: (TestHub & { readonly texts: ReadonlyMap<string, string> }) | undefined
beforeAll(async () => {
  started = await Effect.runPromise(
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const texts = new Map<string, string>()
      for (let at = 0; at < pieces.length; at++) {
        const some = [...pieces.slice(at), ...pieces].slice(0, 12).join(" ")
        const content_raw = some.replaceAll("\0", "").toWellFormed()
        const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
        texts.set(body.message.id, content_raw)
      }
      return { ...hub, texts }
    }).pipe(Scope.provide(scope), Effect.orDie)
  )
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const shared = Effect.suspend(() => (started === undefined ? Effect.die("no hub") : Effect.succeed(started)))

it.live.prop(
  "any query finds every text that matches it, or is refused with a place in it",
  { q: textOf(8) },
  ({ q }) =>
    Effect.gen(function* () {
      const hub = yield* shared
      const { status, body } = yield* hub.get(
        `/api/v1/search?limit=100&${String(new URLSearchParams({ q }))}`
      )
      // What a URL can hold of it.
      const parsed = parseQuery(q.toWellFormed())
      if (Result.isFailure(parsed)) {
        const { at, length } = parsed.failure
        assert.deepStrictEqual([status, body.code, body.details.at], [400, "INVALID_INPUT", at])
        assert.isTrue(at >= 0 && at + length <= q.length)
        return
      }
      assert.strictEqual(status, 200, JSON.stringify(body))
      const query = parsed.success
      const all = [...hub.texts].filter(([, text]) => matches(query, wordsOf(text)) !== undefined)
      const found: ReadonlyArray<string> = body.results.map(
        ({ message }: { readonly message: { readonly id: string } }) => message.id
      )
      assert.deepStrictEqual(found.toSorted(), all.map(([id]) => id).toSorted())
    }),
  times(60)
)

it.live.prop(
  "the database takes every expression",
  { q: textOf(20) },
  ({ q }) =>
    Effect.gen(function* () {
      const { services } = yield* shared
      const sql = Context.get(services, SqlClient.SqlClient)
      const parsed = parseQuery(q)
      if (Result.isFailure(parsed)) return
      yield* Effect.orDie(
        onPostgres
          ? sql`SELECT number FROM search_documents WHERE words @@ ${tsqueryOf(parsed.success)}::tsquery`
          : sql`SELECT rowid FROM search_words WHERE search_words MATCH ${fts5Of(parsed.success)}`
      )
    }),
  times(200)
)

const queries = ["foo", "bar", '"a b"', "ba* OR 日本", "🚀", "NEAR(foo a, 4)", "^foo OR ß"].map((q) =>
  Result.getOrThrow(parseQuery(q))
)

it.live.prop(
  "highlights of any text are in order, in its snippet, and hold no half of a character",
  { text: textOf(200) },
  ({ text }) =>
    Effect.sync(() => {
      const words = wordsOf(text)
      for (const { start, end, word } of words) {
        assert.isTrue(start < end && end <= text.length)
        assert.match(word, /^[\p{L}\p{M}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]+$/u)
      }
      for (const query of queries) {
        const ranges = matches(query, words)
        if (ranges === undefined) continue
        const { text: shown, highlights } = snippetOf(text, ranges)
        assert.isTrue(text.includes(shown))
        assert.isAbove(highlights.length, 0)
        let last = 0
        for (const { start, end } of highlights) {
          assert.isTrue(start >= last && start < end && end <= shown.length)
          assert.isTrue(shown.slice(start, end).isWellFormed())
          last = end
        }
      }
    }),
  times(200)
)
