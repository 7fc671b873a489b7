/** What people read of messages and their findings, and what `agentlip up` says when it cannot serve. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { agentlipProcess, commandsOf, start } from "./cli.ts"
import {
  eventually,
  extractorSpec,
  jobsOf,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace
} from "./testHub.ts"

const served = Effect.gen(function* () {
  const hub = yield* startHub({
    plugins: [linkifierSpec("urls"), extractorSpec("facts")],
    fakes: {
      urls: () => Effect.succeed([{ kind: "url", span: { start: 4, end: 7 }, data: { host: "two" } }]),
      facts: () => Effect.succeed([{ kind: "fact", key: "k", value_json: { a: "b" } }])
    }
  })
  const { topic } = yield* makeTopic(hub)
  const posted = yield* hub.post("/api/v1/messages", {
    topic_id: topic,
    sender: "ada",
    content_raw: "one two"
  })
  const message = String(posted.body.message.id)
  yield* jobsOf(hub, message)
  return { hub, topic, message, run: commandsOf(hub.workspace) }
})

describe("findings", () => {
  it.live("are in msg show: the span, its kind and its data, by plugin", () =>
    Effect.gen(function* () {
      const { message, run } = yield* served
      const { code, out } = yield* run("msg", "show", message)
      assert.strictEqual(code, 0)
      for (const expected of ["one two", "ada", "url", "urls", '{"host":"two"}', "fact"])
        assert.include(out, expected)
      assert.strictEqual((yield* run("msg", "show", "nothing")).code, 1)
    })
  )

  it.live("are in msg tail and in listen, for people", () =>
    Effect.gen(function* () {
      const { hub, topic } = yield* served
      for (const [command, ...expected] of [
        [["msg", "tail", topic], "one two", "url", "fact"],
        [["listen", "--since", "0", "--text"], "one two", "url", "fact"]
      ] as const) {
        const child = yield* start([...command, "-w", hub.workspace])
        yield* eventually(Effect.sync(child.out), (text) => expected.every((part) => text.includes(part)))
        assert.notInclude(child.out(), "\n    at ")
      }
    })
  )
})

describe("agentlip up", () => {
  it.live("says in one line that another process uses the port", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const workspace = yield* tempWorkspace
      const { port } = new URL(hub.url)
      const { code, err } = yield* agentlipProcess(["up", "--port", port, "-w", workspace])
      assert.strictEqual(code, 1)
      assert.match(
        err,
        /^agentlip: The hub cannot listen: another process uses the port\. Pass another --port.*\n$/
      )
    })
  )

  it.live("in an empty folder, serves and names the command that creates a config", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* start(["up", "-w", workspace])
      const out = yield* eventually(Effect.sync(hub.out), (text) => text.includes("Plugins ("))
      assert.match(out, /Plugins \(none: .* has no agentlip\.config\.ts\. Create one: .* init/)
      assert.match(out, /Post a message: .* msg send/)
    })
  )
})
