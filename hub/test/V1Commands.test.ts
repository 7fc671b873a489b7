/** The command line of Agentlip v1: each command of its grammar, and the JSON that its scripts read. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fromV1 } from "../src/cli/flags/fromV1.ts"
import { commandsOf } from "./cli.ts"
import { type Json, makeTopic, readServerFile, startHub, tempWorkspace, type TestHub } from "./testHub.ts"

class Hub extends Context.Service<Hub, TestHub>()("test/V1CommandsHub") {
  static readonly layer = Layer.effect(Hub, startHub())
}

/** A topic with one message, and a second topic in its channel. */
const begin = Effect.fnUntraced(function* (channelName: string) {
  const hub = yield* Hub
  const { channel, topic } = yield* makeTopic(hub, channelName)
  const second = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "second" })
  const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "one" })
  const run = (...args: ReadonlyArray<string>) => commandsOf(hub.workspace)(...args, "--json")
  return { hub, run, channel, topic, other: second.body.topic.id, message: body.message.id }
})

const shows = (actual: Json, expected: object) => {
  const some = Object.fromEntries(Object.keys(expected).map((key) => [key, actual[key]]))
  assert.deepStrictEqual(some, { ...expected })
}

layer(Hub.layer, { excludeTestServices: true })("agentlip with the grammar of v1", (it) => {
  it.effect("lists and changes channels and topics", () =>
    Effect.gen(function* () {
      const { run, channel, topic } = yield* begin("lists")
      const channels = (yield* run("channel", "list")).json
      assert.deepStrictEqual(Object.keys(channels), ["status", "channels", "count"])
      shows((yield* run("topic", "list", "--channel-id", channel, "--limit", "1", "--offset", "1")).json, {
        status: "ok",
        count: 1,
        hasMore: false
      })
      const renamed = (yield* run("topic", "rename", topic, "--title", "-new-")).json
      assert.deepStrictEqual(Object.keys(renamed).toSorted(), ["event_id", "status", "topic"])
      assert.strictEqual(renamed.topic.title, "-new-")
    })
  )

  it.effect("sends, reads and changes messages", () =>
    Effect.gen(function* () {
      const { hub, run, topic, other, message } = yield* begin("messages")
      const to = ["msg", "send", "--topic-id", topic, "--sender", "b"]
      const sent = (yield* run(...to, "--content", "- a list --not-a-flag")).json
      shows(sent, { status: "ok", message_id: sent.message.id })
      assert.isNumber(sent.event_id)
      const piped = yield* commandsOf(hub.workspace, "two\nlines\n")(...to, "--stdin", "--json")

      const tail = (yield* run("msg", "tail", "--topic-id", topic)).json
      assert.deepStrictEqual(Object.keys(tail), ["status", "messages", "count"])
      assert.deepStrictEqual(
        tail.messages.map((found: Json) => [found.id, found.content_raw]),
        [
          [piped.json.message_id, "two\nlines\n"],
          [sent.message_id, "- a list --not-a-flag"],
          [message, "one"]
        ]
      )
      const before = [
        "msg",
        "page",
        "--topic-id",
        topic,
        "--before-id",
        piped.json.message_id,
        "--limit",
        "1"
      ]
      shows((yield* run(...before)).json, { status: "ok", count: 1, hasMore: true })
      const after = (yield* run("msg", "page", "--topic-id", topic, "--after-id", message)).json
      assert.strictEqual(after.count, 2)

      const edit = ["msg", "edit", message, "--content", "-", "--expected-version"]
      const edited = yield* commandsOf(hub.workspace, "uno")(...edit, "1", "--json")
      shows(edited.json.message, { content_raw: "uno", version: 2 })
      const conflict = yield* commandsOf(hub.workspace, "eins")(...edit, "1", "--json")
      assert.strictEqual(conflict.code, 2)
      shows(conflict.json, { status: "error", code: "VERSION_CONFLICT", details: { current: 2 } })

      const move = ["msg", "retopic", message, "--to-topic-id", other, "--mode"]
      const refused = yield* run(...move, "all")
      assert.strictEqual(refused.code, 1)
      shows(refused.json, { status: "error", code: "INVALID_INPUT" })
      shows((yield* run(...move, "one")).json, { status: "ok", affected_count: 1 })
      const back = ["msg", "retopic", message, "--to-topic-id", topic, "--mode", "all", "--force"]
      assert.strictEqual((yield* run(...back)).json.event_ids.length, 1)
      shows((yield* run("msg", "delete", message, "--actor", "mod")).json, { status: "ok", deleted: true })
    })
  )

  it.effect("adds and lists attachments", () =>
    Effect.gen(function* () {
      const { run, topic, message } = yield* begin("attachments")
      const add = ["attachment", "add", "--topic-id", topic, "--kind", "note", "--value-json", '{"a":1}']
      const full = [...add, "--key", "-k", "--source-message-id", message, "--dedupe-key", "d"]
      const added = (yield* run(...full)).json
      shows(added, { status: "ok", deduplicated: false })
      shows(added.attachment, { key: "-k", source_message_id: message, dedupe_key: "d" })
      shows((yield* run(...full)).json, { status: "ok", event_id: null, deduplicated: true })
      const list = (yield* run("attachment", "list", "--topic-id", topic, "--kind", "note")).json
      assert.deepStrictEqual(Object.keys(list), ["status", "attachments", "count"])
      const broken = yield* run("attachment", "add", "--topic-id", topic, "--kind", "n", "--value-json", "[")
      shows(broken.json, { status: "error", code: "INVALID_INPUT" })
    })
  )

  it.effect("searches messages", () =>
    Effect.gen(function* () {
      const { run, topic } = yield* begin("search")
      const send = ["msg", "send", "--topic-id", topic, "--sender", "b", "--content"]
      const { message } = (yield* run(...send, "alpha beta")).json
      yield* run(...send, "alpha gamma")
      const found = (yield* run("search", "--query", "alpha NOT gamma", "--limit", "5")).json
      shows(found, { status: "ok", messages: [message], count: 1 })
    })
  )

  it.effect("shows the status of the daemon, with v1's exit codes", () =>
    Effect.gen(function* () {
      const { hub, run } = yield* begin("daemon")
      const running = yield* run("agentlipd", "status")
      assert.strictEqual(running.code, 0)
      const health = (yield* hub.get("/health")).body
      shows(running.json, {
        status: "running",
        instance_id: health.instance_id,
        db_id: health.db_id,
        schema_version: 1,
        protocol_version: "v1",
        port: Number(new URL(hub.url).port),
        pid: process.pid
      })
      const nowhere = commandsOf(yield* tempWorkspace)
      const absent = yield* nowhere("agentlipd", "status", "--json")
      assert.deepStrictEqual([absent.code, absent.json.status], [3, "not_running"])
      const stale = yield* tempWorkspace
      fs.mkdirSync(path.join(stale, ".agentlip"))
      const server = { ...readServerFile(hub.workspace), port: 1 }
      fs.writeFileSync(path.join(stale, ".agentlip", "server.json"), JSON.stringify(server))
      const unreachable = yield* commandsOf(stale)("agentlipd", "status", "--json")
      assert.strictEqual(unreachable.code, 3)
      shows(unreachable.json, { status: "unreachable", port: 1, pid: process.pid })
    })
  )

  it.effect("reports each error on stdout too, once", () =>
    Effect.gen(function* () {
      const { run } = yield* begin("errors")
      for (const [args, code] of [
        [["msg", "send", "--topic-id", "gone", "--sender", "a", "--content", "x"], "NOT_FOUND"],
        [["msg", "send", "--topic-id", "gone"], "USAGE"],
        [["doctor", "--nope"], "USAGE"]
      ] as const) {
        const { out, err, json, ...outcome } = yield* run(...args)
        assert.deepStrictEqual([outcome.code, out], [1, err])
        shows(json, { status: "error", code })
      }
    })
  )
})

describe("the arguments of v1", () => {
  it("are rewritten to today's, in any order and with global flags anywhere", () => {
    const rows: ReadonlyArray<readonly [string, string]> = [
      ["msg tail --topic-id T --limit 3", "msg tail --limit=3 -- T"],
      ["--json --workspace W msg tail --topic-id=T", "msg tail --json --workspace=W -- T"],
      ["msg edit --content --json M", "msg edit -- M --json"],
      ["msg retopic --mode all --to-topic-id T M --force", "msg retopic --mode=all --force -- M T"],
      ["msg page --topic-id T --after-id M", "msg list --after=M -- T"],
      ["search -q x --limit 2", "search --limit=2 --in=messages -- x"],
      ["search --query -x", "search --in=messages --limit=50 -- -x"],
      ["listen --since 3 --channel c --topic-id T --topic-id U", "listen --since=3 --channel=c -- T U"],
      ["listen --format jsonl", "listen --"]
    ]
    for (const [v1, today] of rows) {
      assert.deepStrictEqual(fromV1(v1.split(" ")), { args: today.split(" "), isV1: true }, v1)
    }
  })

  it("leave today's alone", () => {
    for (const line of [
      "msg tail general/hello --limit 3 --follow",
      "msg send general/hello - --sender a",
      "msg send -- general/hello --content",
      "channel list --json",
      "listen general/a --since 0",
      "search --help",
      "topic",
      ""
    ]) {
      const args = line.split(" ")
      assert.deepStrictEqual(fromV1(args), { args, isV1: false })
    }
  })
})
