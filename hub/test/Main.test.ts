import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { gallery } from "../../examples/hostile/gallery.ts"
import { agentlipProcess } from "./cli.ts"
import { agentlip, run, shows } from "./hubProcess.ts"
import { jobsOf, client, eventually, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const config = `export default {
  linkifiers: [
    { name: "fine", modulePath: "./fine.ts" },
    { name: "hangs", modulePath: "./hangs.ts", timeout: "30 seconds" },
    { name: "missing", modulePath: "./missing.ts" },
    { name: "off", modulePath: "./fine.ts", enabled: false }
  ]
}`

const plugin = (name: string, body: string): string =>
  `export default { name: "${name}", version: "1.2.3", enrich: () => { ${body} } }`

const makeWorkspace = Effect.tap(tempWorkspace, (folder) =>
  Effect.sync(() => {
    fs.writeFileSync(path.join(folder, "agentlip.config.ts"), config)
    fs.writeFileSync(path.join(folder, "fine.ts"), plugin("fine", "return []"))
    fs.writeFileSync(path.join(folder, "hangs.ts"), plugin("hangs", "while (true) {}"))
  })
)

describe("agentlip up", () => {
  it.live(
    "says where it is, how to post and what its plugins are; Ctrl-C stops it, whatever they do",
    () =>
      Effect.gen(function* () {
        const workspace = yield* makeWorkspace
        const hub = yield* agentlip("up", "--workspace", workspace)
        yield* shows(hub, "off     off")
        const { host, port, auth_token } = readServerFile(workspace)
        const api = client(`http://${host}:${port}`, auth_token)
        assert.include(hub.output(), `http://${host}:${port}`)
        assert.match(hub.output(), /ok +linkifier fine \(fine 1\.2\.3\): process, no sandbox, no grants/)
        assert.match(hub.output(), /failed +linkifier missing: LOAD_ERROR: .*missing\.ts/)

        // The command that it prints posts, and the token is not part of it.
        const [, printed = ""] = /Post a message: +(\S.*)$/m.exec(hub.output()) ?? []
        assert.include(printed, 'msg send general/hello "Hello" --create -w ')
        assert.notInclude(printed, auth_token)
        const pasted = yield* Effect.promise(() =>
          promisify(execFile)("sh", ["-c", `${printed} --json`], {
            env: { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env["PATH"]}` }
          })
        )
        assert.strictEqual(JSON.parse(pasted.stdout).message.content_raw, "Hello")
        const content_raw = "@ana, see https://example.com"
        const sent = yield* agentlipProcess([
          "msg",
          "send",
          "general/hello",
          content_raw,
          "--create",
          "-w",
          workspace,
          "--json"
        ])
        assert.strictEqual(sent.code, 0, sent.err)
        const posting = sent.json.message
        const again = yield* agentlipProcess([
          "msg",
          "send",
          "general/hello",
          "again",
          "--create",
          "-w",
          workspace,
          "--json"
        ])
        assert.strictEqual(again.json.message.topic_id, posting.topic_id)

        const jobs = yield* eventually(
          api.get(`/api/v1/messages/${posting.id}/derivations`),
          ({ body }) =>
            body.derivations.filter(({ state }: { state: string }) => state !== "pending").length === 2
        )
        const states = jobs.body.derivations.map(({ state }: { state: string }) => state)
        // In the order of the names: fine, hangs (in the middle of it), missing.
        assert.deepStrictEqual(states, ["empty", "pending", "failed"])

        const stopped = Date.now()
        hub.process.kill("SIGINT")
        assert.strictEqual(yield* Effect.promise(() => hub.ended), 0)
        assert.isBelow(Date.now() - stopped, 10_000)
        assert.include(hub.output(), "The hub has stopped. Goodbye.")
        assert.isFalse(fs.existsSync(path.join(workspace, ".agentlip", "server.json")))
        assert.notInclude(hub.output(), auth_token)
        // A failure is logged with plugin, code and message id, without what the message says.
        assert.include(hub.output(), posting.id)
        assert.notInclude(hub.output(), posting.content_raw)
      }),
    60_000
  )

  it.live(
    "refuses what it cannot start with, in a text without a stack",
    () =>
      Effect.gen(function* () {
        const workspace = yield* makeWorkspace
        fs.writeFileSync(
          path.join(workspace, "agentlip.config.ts"),
          "export default { linkifiers: [{ nme: 1 }] }"
        )
        const hub = yield* agentlip("up", "--workspace", workspace)
        assert.strictEqual(yield* Effect.promise(() => hub.ended), 1)
        assert.include(hub.output(), "linkifiers[0].nme")
        assert.notMatch(hub.output(), /\n +at /)
        assert.isFalse(fs.existsSync(path.join(workspace, ".agentlip", "server.json")))
      }),
    60_000
  )
})

describe("the demo", () => {
  it.live(
    "with hostile plugins shows the fate of each, and fails unless all went well",
    () =>
      Effect.gen(function* () {
        const demo = yield* run(["examples/demo.ts", "--hostile"])
        assert.strictEqual(yield* Effect.promise(() => demo.ended), 0, demo.output())
        assert.notInclude(demo.output(), "✗")
        for (const { name, isolation, ends } of gallery) {
          if (ends.length === 1) {
            assert.match(demo.output(), new RegExp(`✓ ${name} +${isolation} .* ${ends[0]} ×`))
          }
        }
        assert.include(demo.output(), "60 of 60 jobs, 24 finds")
      }),
    90_000
  )

  it.live(
    "shows what the plugins found, and ends by itself",
    () =>
      Effect.gen(function* () {
        const demo = yield* run(["examples/demo.ts"])
        assert.strictEqual(yield* Effect.promise(() => demo.ended), 0, demo.output())
        for (const text of [
          'urls: url 25-59 "https://nodejs.org/en/blog/release"',
          'mentions: mention 0-4 "@ana"',
          "attached: todo",
          "12 messages, 60 jobs: 19 committed, 41 empty, 0 failed"
        ]) {
          assert.include(demo.output(), text)
        }
      }),
    60_000
  )
})

describe("a second start", () => {
  it.live(
    "goes on where the first one was stopped",
    () =>
      Effect.gen(function* () {
        const workspace = yield* makeWorkspace
        const first = yield* agentlip("up", "--workspace", workspace)
        yield* shows(first, "off     off")
        const before = readServerFile(workspace)
        const api = client(`http://127.0.0.1:${before.port}`, before.auth_token)
        const { topic } = yield* makeTopic(api)
        const { body } = yield* api.post("/api/v1/messages", {
          topic_id: topic,
          sender: "a",
          content_raw: "x"
        })
        first.process.kill("SIGTERM")
        yield* Effect.promise(() => first.ended)

        fs.writeFileSync(path.join(workspace, "hangs.ts"), plugin("hangs", "return []"))
        const second = yield* agentlip("up", "--workspace", workspace)
        yield* shows(second, "msg send general/first")
        yield* shows(second, "off     off")
        const after = readServerFile(workspace)
        const jobs = yield* jobsOf(
          client(`http://127.0.0.1:${after.port}`, after.auth_token),
          body.message.id
        )
        assert.deepStrictEqual(
          jobs.map(({ plugin_name, state }) => [plugin_name, state]),
          [
            ["fine", "empty"],
            ["hangs", "empty"],
            ["missing", "failed"]
          ]
        )
      }),
    60_000
  )
})
