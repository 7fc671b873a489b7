/** `agentlip search`: results for people and programs. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { resultLines } from "../src/cli/render/SearchResults.ts"
import { commandsOf } from "./cli.ts"
import { makeTopic, startHub } from "./testHub.ts"

it.live(
  "agentlip search shows what was found and where, and takes filters and the flags of Agentlip v1",
  () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const run = commandsOf(hub.workspace)
      const ids: Array<string> = []
      for (const content_raw of [
        "deploy on friday",
        "deploy \u001B[31mred\u001B[0m later\n2020 fake",
        "other"
      ]) {
        const sender = content_raw === "other" ? "bob" : "ada"
        const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender, content_raw })
        ids.push(body.message.id)
      }
      yield* hub.post(`/api/v1/topics/${topic}/attachments`, {
        kind: "url",
        value_json: { url: "https://example.com", title: "How to deploy" }
      })

      const text = yield* run("search", "deploy -draft*")
      assert.strictEqual(text.code, 0, text.err)
      const lines = text.out.split("\n")
      assert.match(lines[0] ?? "", /^\S+Z {2}general\/first {2}attached url {2}\S+$/)
      assert.deepStrictEqual(lines.slice(1, 3), ["  https://example.com", "  How to deploy"])
      assert.match(lines[4] ?? "", new RegExp(`general/first {2}ada {2}${ids[1]}$`))
      assert.notInclude(text.out, "\u001B")
      assert.include(text.out, "  2020 fake")

      const { json } = yield* run("search", "deploy", "--json", "--limit", "2")
      assert.strictEqual(json.status, "ok")
      assert.strictEqual(json.count, 2)
      assert.deepStrictEqual(json.index.complete, true)
      const rest = yield* run("search", "deploy", "--json", "--after", json.next)
      assert.deepStrictEqual(
        rest.json.results.map(({ message }: { message: { id: string } }) => message.id),
        [ids[0]]
      )
      assert.isNull(rest.json.next)
      assert.include((yield* run("search", "deploy", "-n", "2")).out, `… more with --after ${json.next}`)

      const count = (...args: ReadonlyArray<string>) =>
        Effect.map(run("search", "--json", ...args), ({ json }) => json.results.length)
      assert.strictEqual(yield* count("deploy", "friday"), 1)
      assert.strictEqual(yield* count('"deploy friday"'), 0)
      assert.strictEqual(yield* count("deploy", "--in", "messages"), 2)
      assert.strictEqual(yield* count("other OR deploy", "--sender", "bob", "--topic", "general/first"), 1)
      assert.strictEqual(yield* count("deploy", "--channel", "general", "--since", "2000-01-01"), 3)
      assert.strictEqual(yield* count("deploy", "--until", "2000-01-01"), 0)
      // The search of Agentlip v1 has messages only.
      assert.strictEqual(yield* count("--query", "deploy NOT friday", "--limit", "5"), 1)
      assert.strictEqual((yield* run("search", "nothing")).out, "Nothing was found.\n")

      const mistake = yield* run("search", "one (two")
      assert.strictEqual(mistake.code, 1)
      assert.include(mistake.err, "at character 5: ( has no ) after it")
      assert.strictEqual((yield* run("search", "x", "--channel", "none")).code, 1)
      assert.strictEqual((yield* run("search", "x", "--since", "someday")).code, 1)
      assert.strictEqual((yield* run("search")).code, 1)
      assert.notInclude((yield* run("status")).out, "Search does not")
    })
)

it("colours underline what was found, in one colour", () => {
  const place = { channel_name: "general", topic_title: "first" }
  const [, line] = resultLines(
    [
      {
        ...place,
        type: "attachment",
        channel_id: "c",
        attachment: {
          id: "a",
          topic_id: "t",
          kind: "url",
          key: null,
          value_json: {},
          dedupe_key: "",
          source_message_id: null,
          created_at: ""
        },
        snippet: {
          text: "one two three",
          highlights: [
            { start: 0, end: 3 },
            { start: 8, end: 13 }
          ],
          cut_before: true,
          cut_after: true
        }
      }
    ],
    true
  )
  assert.strictEqual(line, "  …\u001B[4m\u001B[33mone\u001B[0m two \u001B[4m\u001B[33mthree\u001B[0m…")
})
