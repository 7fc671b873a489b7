/** Search: what is found, where, and how the index follows what people do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { onPostgres } from "./testDatabase.ts"
import { extractorSpec, type Json, jobsOf, makeTopic, startHub, type TestHub } from "./testHub.ts"

const post = (hub: TestHub, topic_id: string, content_raw: string, sender = "ada") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender, content_raw }), ({ body }) =>
    String(body.message.id)
  )

const search = (hub: TestHub, q: string, more: Record<string, string> = {}) =>
  hub.get(`/api/v1/search?${String(new URLSearchParams({ q, ...more }))}`)

/** The ids that a search finds, newest first. */
const found = (hub: TestHub, q: string, more: Record<string, string> = {}) =>
  Effect.map(search(hub, q, more), ({ status, body }) => {
    assert.strictEqual(status, 200, `${q}: ${JSON.stringify(body)}`)
    assert.isTrue(body.index.complete)
    return body.results.map((result: Json) => (result.message ?? result.attachment).id)
  })

/** The texts that a result highlights. */
const highlighted = ({ snippet }: Json): ReadonlyArray<string> =>
  snippet.highlights.map(({ start, end }: Json) => snippet.text.slice(start, end))

const texts = {
  code: "PluginRuntime.runAll calls foo_bar in src/isolates/pool.ts, and getHTTPServer",
  url: "see https://example.com/docs/a-b?x=1#top for version 1.2.3",
  chinese: "今天我们部署了新的服务器。没有问题",
  japanese: "プラグインが壊れた",
  korean: "서버를 배포했습니다",
  emoji: "shipped 🚀🚀 by 👩‍💻 and 🇩🇪",
  accents: "Das Café öffnet, naïve Ångström ＦＵＬＬ",
  short: "it is up to us",
  long: `${"filler words here ".repeat(400)}needle${" more filler".repeat(400)}`
}

describe("a search", () => {
  it.live("finds words, phrases, prefixes and operators in every kind of text, and shows where", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const ids = new Map<string, string>()
      for (const [name, text] of Object.entries(texts)) ids.set(name, yield* post(hub, topic, text))
      const cases: ReadonlyArray<readonly [q: string, finds: ReadonlyArray<keyof typeof texts>]> = [
        ["pluginruntime", ["code"]],
        ["runtime", ["code"]],
        ["PluginRuntime.runAll", ["code"]],
        ["foo_bar", ["code"]],
        ["bar", ["code"]],
        ["src/isolates/pool.ts", ["code"]],
        ["http server", ["code"]],
        ["https://example.com/docs/a-b?x=1", ["url"]],
        ["example.com", ["url"]],
        ["1.2.3", ["url"]],
        ["服务器", ["chinese"]],
        ["部署", ["chinese"]],
        ["新", ["chinese"]],
        ["务服", []],
        ["プラグイン", ["japanese"]],
        ["서버", ["korean"]],
        ["🚀", ["emoji"]],
        ["👩‍💻", ["emoji"]],
        ["🇩🇪", ["emoji"]],
        ["cafe OFFNET", ["accents"]],
        ["full", ["accents"]],
        ["Ångström", ["accents"]],
        ["up", ["short"]],
        ["us to", ["short"]],
        ['"us to"', []],
        ['"to us"', ["short"]],
        ["ver*", ["url"]],
        ["plug* OR cafe", ["accents", "code"]],
        ["filler -needle", []],
        ["filler NOT nothing", ["long"]],
        ["(cafe OR up) AND (is OR das)", ["short", "accents"]],
        ["NEAR(calls pool, 5)", ["code"]],
        ["NEAR(calls pool, 2)", []],
        ["NEAR(version see)", ["url"]],
        ["^see", ["url"]],
        ["^for", []],
        ["content_raw : needle", ["long"]],
        ["src + isolates", ["code"]],
        ["--top", ["url"]],
        ["up ->", ["short"]],
        ["the\u0000 or", []]
      ]
      for (const [q, names] of cases) {
        assert.deepStrictEqual(
          yield* found(hub, q),
          names.map((name) => ids.get(name)),
          q
        )
      }
      const one = Effect.fnUntraced(function* (q: string) {
        const { body } = yield* search(hub, q)
        return body.results[0]
      })
      assert.deepStrictEqual(highlighted(yield* one('runtime "foo bar"')), ["Runtime", "foo_bar"])
      assert.deepStrictEqual(highlighted(yield* one("服务器 部署")), ["部署", "服务器"])
      assert.deepStrictEqual(highlighted(yield* one("🚀 👩‍💻")), ["🚀", "🚀", "👩‍💻"])
      assert.deepStrictEqual(highlighted(yield* one("ver* OR 1.2.3")), ["version", "1.2.3"])
      const { message, channel_name, topic_title, snippet, type } = yield* one("needle")
      assert.strictEqual(type, "message")
      assert.strictEqual(message.content_raw, texts.long)
      assert.deepStrictEqual([channel_name, topic_title], ["general", "first"])
      assert.isTrue(snippet.cut_before && snippet.cut_after)
      assert.isBelow(snippet.text.length, 300)
      assert.isTrue(texts.long.includes(snippet.text))
    })
  )

  it.live("can be limited to a place, a sender, a time and a kind, and continues on further pages", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const other = yield* makeTopic(hub, "other")
      const all: Array<string> = []
      for (const n of [1, 2, 3, 4, 5]) all.unshift(yield* post(hub, topic, `word ${n}`))
      const bob = yield* post(hub, other.topic, "word of bob", "bob")
      const posted = yield* hub.post(`/api/v1/topics/${topic}/attachments`, {
        kind: "url",
        key: "word-key",
        value_json: {
          url: "https://example.com/page",
          title: "A <b>word</b>",
          nested: { deep: ["treasure"] }
        },
        source_message_id: all[0]
      })
      const attachment = posted.body.attachment.id
      assert.deepStrictEqual(yield* found(hub, "word"), [attachment, bob, ...all])
      assert.deepStrictEqual(yield* found(hub, "word", { in: "messages" }), [bob, ...all])
      assert.deepStrictEqual(yield* found(hub, "word", { in: "attachments" }), [attachment])
      assert.deepStrictEqual(yield* found(hub, "treasure"), [attachment])
      assert.deepStrictEqual(yield* found(hub, "word", { sender: "bob" }), [bob])
      assert.deepStrictEqual(yield* found(hub, "word", { sender: "ada" }), [attachment, ...all])
      assert.deepStrictEqual(yield* found(hub, "word", { channel_id: other.channel }), [bob])
      assert.deepStrictEqual(yield* found(hub, "word", { topic_id: topic, in: "messages" }), all)
      assert.deepStrictEqual(yield* found(hub, "word", { channel_id: channel, topic_id: other.topic }), [])
      assert.deepStrictEqual(yield* found(hub, "word", { channel_id: "none" }), [])
      const { created_at } = (yield* hub.get(`/api/v1/messages/${all[1]}`)).body.message
      const since = yield* found(hub, "word", { created_after: created_at, in: "messages" })
      assert.includeMembers(since, [bob, ...all.slice(0, 2)])
      const earlier = yield* found(hub, "word", { created_before: created_at })
      assert.notInclude(earlier, all[1])
      assert.deepStrictEqual(yield* found(hub, "word", { created_before: "2020-01-01" }), [])
      assert.lengthOf(yield* found(hub, "word", { created_after: "2020-01-01T00:00:00+02:00" }), 7)
      for (const created_after of ["yesterday", "2020-13-01", "2020-01-01 10:00"]) {
        const { status, body } = yield* search(hub, "word", { created_after })
        assert.deepStrictEqual([status, body.code], [400, "INVALID_INPUT"])
      }

      const pages: Array<Json> = []
      let after: string | null = ""
      while (after !== null) {
        const answer: Json = (yield* search(hub, "word", { limit: "3", ...(after === "" ? {} : { after }) }))
          .body
        assert.isAtMost(answer.results.length, 3)
        pages.push(...answer.results.map((result: Json) => (result.message ?? result.attachment).id))
        after = answer.next
      }
      assert.deepStrictEqual(pages, [attachment, bob, ...all])
      assert.strictEqual((yield* search(hub, "word", { after: "x" })).status, 400)

      const [result] = (yield* search(hub, "word", { in: "attachments" })).body.results
      assert.deepStrictEqual(result.attachment, posted.body.attachment)
      assert.strictEqual(result.channel_id, channel)
      assert.deepStrictEqual(highlighted(result), ["word", "word"])
      assert.include(result.snippet.text, "A <b>word</b>")
    })
  )

  it.live("follows edits, deletions, moves and findings that are replaced", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [extractorSpec("tags")],
        fakes: {
          tags: (input: Json) =>
            Effect.succeed(
              [...input.message.content_raw.matchAll(/#(\w+)/g)].map(([, tag]) => ({
                kind: "tag",
                value_json: { tag: `tagged${String(tag)}` }
              }))
            )
        }
      })
      const { channel, topic } = yield* makeTopic(hub)
      const target = (yield* hub.post("/api/v1/topics", { channel_id: channel, title: "second" })).body.topic
        .id
      const id = yield* post(hub, topic, "before #one")
      const later = yield* post(hub, topic, "before too")
      yield* jobsOf(hub, id)
      assert.deepStrictEqual(yield* found(hub, "before"), [later, id])
      assert.lengthOf(yield* found(hub, "taggedone"), 1)

      yield* hub.patch(`/api/v1/messages/${id}`, { op: "edit", content_raw: "afterwards #two" })
      // The old text leaves in the same transaction, whether or not the new one is indexed already.
      const [kept] = yield* hub.rows(`SELECT words FROM search_documents WHERE message_id = '${id}'`)
      assert.notInclude(String(kept.words), "before")
      yield* jobsOf(hub, id)
      assert.deepStrictEqual(yield* found(hub, "before"), [later])
      assert.deepStrictEqual(yield* found(hub, "afterwards"), [id])
      assert.deepStrictEqual(yield* found(hub, "before OR afterwards"), [later, id])
      assert.lengthOf(yield* found(hub, "taggedone"), 0)
      assert.lengthOf(yield* found(hub, "taggedtwo"), 1)

      const moved = { op: "move_topic", to_topic_id: target, mode: "one" }
      yield* hub.patch(`/api/v1/messages/${id}`, moved)
      assert.deepStrictEqual(yield* found(hub, "afterwards", { topic_id: topic }), [])
      assert.deepStrictEqual(yield* found(hub, "afterwards", { topic_id: target }), [id])

      yield* hub.patch(`/api/v1/messages/${id}`, { op: "delete", actor: "ada" })
      assert.deepStrictEqual(yield* found(hub, "afterwards OR deleted OR taggedtwo"), [])
      assert.lengthOf(yield* hub.rows("SELECT number FROM search_documents"), 1)
      if (!onPostgres) {
        const words =
          "SELECT count(*) AS n FROM search_words_data WHERE instr(block, CAST('fterwards' AS BLOB)) > 0"
        assert.deepStrictEqual(yield* hub.rows(words), [{ n: 0 }])
        yield* hub.rows("INSERT INTO search_words (search_words, rank) VALUES ('integrity-check', 1)")
      }
    })
  )

  it.live("says where a query has a mistake", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const mistakes: ReadonlyArray<readonly [q: string, at: number, text: string]> = [
        ['one "two', 4, '" has no " after it'],
        ["one (two", 4, "( has no ) after it"],
        ["one) two", 3, ") has no ( before it"],
        ["one OR", 4, "OR needs words on both sides"],
        ["AND one", 0, "AND needs words on both sides"],
        ["one AND AND two", 8, "AND needs words on both sides"],
        ["one NOT", 4, "NOT needs a word after it"],
        ["-one", 0, "excludes words and has none to find"],
        ["one OR -two", 6, "excludes words and has none to find"],
        ["a*", 0, "* needs at least 2 characters before it"],
        ["NEAR(one two, 1000)", 12, ", in NEAR needs a number up to 100 and a ) after it"],
        ["NEAR(one two", 0, "NEAR( has no ) after it"],
        ["(".repeat(33), 32, "has more than 32 ( in each other"],
        ["one ".repeat(65), 256, "has more than 64 words"],
        ["-> !", 0, "has no word to search for"],
        ["", 0, "has no word to search for"],
        ["\u0000\ud800", 0, "has no word to search for"],
        ["x".repeat(10_000), 1_000, "is longer than 1000 characters"]
      ]
      for (const [q, at, text] of mistakes) {
        const { status, body } = yield* search(hub, q)
        assert.deepStrictEqual([status, body.code, body.details?.at], [400, "INVALID_INPUT", at], q)
        assert.include(body.error, `q: at character ${at + 1}: ${text}`)
      }
      assert.strictEqual((yield* hub.get("/api/v1/search")).status, 400)
    })
  )
})
