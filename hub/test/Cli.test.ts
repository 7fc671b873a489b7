import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commandFor } from "../src/cli/calledAs.ts"
import { type Outcome, commandsOf } from "./cli.ts"
import { linkifierSpec, readServerFile, startHub, tempWorkspace } from "./testHub.ts"

const id = ({ code, out, err }: Outcome): string => {
  assert.strictEqual(code, 0, err)
  return out.trim()
}

const begin = Effect.gen(function* () {
  const hub = yield* startHub({
    plugins: [linkifierSpec("urls")],
    fakes: { urls: () => Effect.succeed([]) }
  })
  const run = commandsOf(hub.workspace)
  const channel = id(yield* run("channel", "create", "general", "--description", "All things"))
  const topic = id(yield* run("topic", "create", "general", "a/b topic"))
  return { hub, run, channel, topic }
})

describe("agentlip on a running hub", () => {
  it.live("lists and makes channels and topics, which go by their names or their ids", () =>
    Effect.gen(function* () {
      const { hub, run, channel, topic } = yield* begin
      const channels = yield* run("channel", "list")
      assert.match(
        channels.out,
        new RegExp(`^ID +NAME +CREATED +DESCRIPTION\n${channel} +general +\\S+ +All things\n$`)
      )
      const asJson = yield* run("channel", "list", "--json")
      const { body } = yield* hub.get("/api/v1/channels")
      assert.deepStrictEqual(asJson.json, { status: "ok", channels: body.channels, count: 1 })

      assert.include((yield* run("topic", "list", channel)).out, "a/b topic")
      assert.strictEqual(id(yield* run("topic", "rename", "general/a/b topic", "c")), topic)
      assert.strictEqual((yield* run("topic", "list", "general", "--json")).json.topics[0].title, "c")

      const unknown = yield* run("topic", "list", "nope")
      assert.strictEqual(unknown.code, 1)
      assert.match(unknown.err, /^agentlip: There is no channel "nope"; .*channel list/)
      assert.strictEqual(unknown.out, "")
      assert.match((yield* run("msg", "send", "general/nope", "x")).err, /There is no topic "general\/nope"/)
    })
  )

  it.live("names a topic whose channel's name begins like another's", () =>
    Effect.gen(function* () {
      const { run } = yield* begin
      yield* run("channel", "create", "general/a")
      const other = id(yield* run("topic", "create", "general/a", "second"))
      assert.strictEqual(id(yield* run("topic", "rename", "general/a/second", "third")), other)
    })
  )

  it.live("sends, edits, moves and deletes messages, each only at the version that is expected", () =>
    Effect.gen(function* () {
      const { hub, run, topic } = yield* begin
      const message = id(yield* run("msg", "send", "general/a/b topic", "one", "--sender", "ana"))
      const piped = commandsOf(hub.workspace, "two\nlines\n")
      const second = id(yield* piped("msg", "send", topic, "-", "--sender", "ben"))
      const list = (yield* run("msg", "list", topic, "--json")).json.messages
      assert.deepStrictEqual(
        list.map(({ id, sender, content_raw }: typeof list) => [id, sender, content_raw]),
        [
          [second, "ben", "two\nlines"],
          [message, "ana", "one"]
        ]
      )
      const text = yield* run("msg", "list", "--channel", "general", "--limit", "1")
      assert.include(text.out, "two⏎lines\n… more with --before " + second)

      assert.strictEqual((yield* run("msg", "edit", message, "uno", "--expected-version", "1")).code, 0)
      const conflict = yield* run("msg", "edit", message, "eins", "--expected-version", "1")
      assert.strictEqual(conflict.code, 2)
      const conflictJson = yield* run("msg", "delete", message, "--expected-version", "1", "--json")
      assert.strictEqual(conflictJson.code, 2)
      assert.strictEqual(conflictJson.out, conflictJson.err)
      const refused = conflictJson.json
      assert.strictEqual(refused.code, "VERSION_CONFLICT")
      assert.deepStrictEqual(refused.details, { current: 2 })

      yield* run("topic", "create", "general", "other")
      const moved = yield* run("msg", "retopic", message, "general/other", "--mode", "later", "--json")
      assert.strictEqual(moved.json.affected_count, 2)
      assert.strictEqual((yield* run("msg", "retopic", message, topic, "--expected-version", "1")).code, 2)
      const deleted = yield* run(
        "msg",
        "delete",
        message,
        "--actor",
        "mod",
        "--expected-version",
        "3",
        "--json"
      )
      assert.strictEqual(deleted.json.message.deleted_by, "mod")
    })
  )

  it.live("refuses what is no text, no JSON, no version", () =>
    Effect.gen(function* () {
      const { hub, run, topic } = yield* begin
      const binary = yield* commandsOf(hub.workspace, new Uint8Array([0xff, 0xfe]))("msg", "send", topic, "-")
      assert.include(binary.err, "stdin is not UTF-8 text")
      const endless = yield* commandsOf(hub.workspace, new Uint8Array(2 ** 21))("msg", "send", topic, "-")
      assert.include(endless.err, "stdin holds more than 1048576 bytes")
      const tooLong = yield* commandsOf(hub.workspace, "x".repeat(70_000))(
        "msg",
        "send",
        topic,
        "-",
        "--json"
      )
      assert.strictEqual(JSON.parse(tooLong.err).code, "PAYLOAD_TOO_LARGE")
      assert.strictEqual((yield* run("msg", "list")).code, 1)
      assert.include((yield* run("msg", "list")).err, "Pass a TOPIC or --channel")

      const usage = yield* run("msg", "edit", "x", "y", "--expected-version", "one")
      assert.strictEqual(usage.code, 1)
      assert.strictEqual(usage.out, "")
      assert.match(usage.err, /^agentlip: .*expected-version.*agentlip msg edit --help\n$/)
      const usageJson = yield* run("msg", "snd", "--json")
      assert.strictEqual(JSON.parse(usageJson.err).code, "USAGE")

      const fact = ["attachment", "create", topic, "--kind", "note"]
      assert.include((yield* run(...fact, "[1]")).err, "The value is not a JSON object")
      const first = id(yield* run(...fact, '{"a":1}', "--key", "k"))
      assert.strictEqual(id(yield* run(...fact, '{"a":1}', "--key", "k")), first)
      assert.match((yield* run("attachment", "list", topic, "--kind", "note")).out, /note +k +\{"a":1\}/)
      assert.deepStrictEqual((yield* run("attachment", "list", topic, "--kind", "x", "--json")).json, {
        status: "ok",
        attachments: [],
        count: 0
      })
    })
  )

  it.live("lets nobody's message reach the terminal as more than text", () =>
    Effect.gen(function* () {
      const { run, topic } = yield* begin
      yield* run("msg", "send", topic, "\u001b[2Jgone\u0007 \u202eback \u009b1m", "--sender", "\u001b]0;me")
      const { out } = yield* run("msg", "list", topic)
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      assert.notMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
      assert.include(out, "\\u001b[2Jgone\\u0007 \\u202eback \\u009b1m")
    })
  )

  it.live("tells how it is", () =>
    Effect.gen(function* () {
      const { hub, run } = yield* begin
      const text = yield* run("status")
      assert.include(text.out, `The hub of ${hub.workspace} is up: ${hub.url}, process ${process.pid}`)
      assert.match(text.out, /urls +linkifier +\S+ +closed +0 +0/)
      const { json } = yield* run("status", "--json")
      assert.strictEqual(json.health.status, "ok")
      assert.strictEqual(json.plugins[0].name, "urls")
      assert.notInclude(JSON.stringify(json), hub.token)
    })
  )

  it.live("says with its exit code that a hub is not there, or does not know the token", () =>
    Effect.gen(function* () {
      const { hub, run } = yield* begin
      const nobody = yield* tempWorkspace
      const absent = yield* commandsOf(nobody)("status")
      assert.strictEqual(absent.code, 3)
      assert.include(absent.err, `Start this workspace's hub: ${commandFor(nobody, "up")}`)

      const file = path.join(hub.workspace, ".agentlip", "server.json")
      const found = JSON.parse(fs.readFileSync(file, "utf8"))
      const pretend = (server: object, workspace = hub.workspace) =>
        fs.writeFileSync(path.join(workspace, ".agentlip", "server.json"), JSON.stringify(server))
      fs.mkdirSync(path.join(nobody, ".agentlip"))

      pretend({ ...found, auth_token: "0".repeat(64) })
      const unauthorised = yield* run("channel", "create", "x", "--json")
      assert.strictEqual(unauthorised.code, 4)
      assert.strictEqual(JSON.parse(unauthorised.err).code, "INVALID_AUTH")
      assert.include(
        JSON.parse(unauthorised.err).error,
        `Stop the hub of this workspace if it runs, then start it: ${commandFor(hub.workspace, "up")}`
      )
      pretend(found)

      // A port that another hub has now, and one that nobody has.
      pretend({ ...found, instance_id: "of before" }, nobody)
      const stale = yield* commandsOf(nobody)("channel", "list", "--json")
      assert.strictEqual(stale.code, 3)
      assert.include(JSON.parse(stale.err).error, "stale")
      assert.include(JSON.parse(stale.err).error, `Start this workspace's hub: ${commandFor(nobody, "up")}`)
      pretend({ ...found, port: 1 }, nobody)
      assert.strictEqual((yield* commandsOf(nobody)("channel", "list")).code, 3)
      fs.writeFileSync(path.join(nobody, ".agentlip", "server.json"), `{"auth_token":"${found.auth_token}"`)
      const broken = yield* commandsOf(nobody)("channel", "list")
      assert.strictEqual(broken.code, 3)
      assert.notInclude(broken.err, found.auth_token)
      assert.strictEqual(readServerFile(hub.workspace).auth_token, hub.token)
    })
  )

  it.live("says what a hub refuses that no endpoint declares", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 1 } })
      const run = commandsOf(hub.workspace)
      const outcomes = yield* Effect.forEach([1, 2, 3], () => run("channel", "list", "--json"))
      const refused = outcomes.filter(({ code }) => code === 1)
      assert.isNotEmpty(refused)
      for (const { err } of refused) assert.strictEqual(JSON.parse(err).code, "RATE_LIMITED")
    })
  )
})
