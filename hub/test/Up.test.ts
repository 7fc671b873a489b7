/** `agentlip up` as a process: how its log is written, what is never in it, and what signals do to it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { commandsOf } from "./cli.ts"
import { agentlip, shows } from "./hubProcess.ts"
import { client, eventually, type Json, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const marker = "swordfish-7431"

const source = `export default {
  name: "moody", version: "1.0.0",
  enrich({ message }) {
    if (message.content_raw.includes("throw")) throw new Error(message.content_raw)
    if (message.content_raw.includes("hang")) return new Promise(() => {})
    return []
  }
}`

const entry = { name: "moody", modulePath: "./moody.mjs", isolation: "thread" }
const config = (...entries: ReadonlyArray<object>) =>
  `export default { linkifiers: ${JSON.stringify(entries)} }`

const running = (...flags: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const workspace = yield* tempWorkspace
    fs.writeFileSync(path.join(workspace, "moody.mjs"), source)
    fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), config(entry))
    const hub = yield* agentlip("up", "--workspace", workspace, ...flags)
    yield* shows(hub, "moody")
    const { host, port, auth_token: token } = readServerFile(workspace)
    const api = client(`http://${host}:${port}`, token)
    const { topic } = yield* makeTopic(api)
    const post = (content_raw: string) =>
      api.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
    return { workspace, hub, api, token, topic, post }
  })

const endOf = (hub: { readonly ended: Promise<number | null> }) => Effect.promise(() => hub.ended)

describe("agentlip up", () => {
  for (const format of ["text", "logfmt", "json"]) {
    it.live(
      `logs as ${format} what happens, never what messages say, nor the token`,
      () =>
        Effect.gen(function* () {
          const { workspace, hub, api, token, topic, post } = yield* running("--log-format", format)
          yield* post(`${marker} throw`)
          yield* post(`${marker} fine`)
          yield* post(`${marker} \u0000 ${"x".repeat(70_000)}`)
          yield* api.request("POST", `/api/v1/messages?token=${token}`, undefined, { raw: `{"${marker}` })
          yield* api.post("/api/v1/messages", { topic_id: topic, sender: marker }, { token: `${token}x` })
          yield* api.get(`/ws?token=${token}`)
          yield* shows(hub, "plugin failed")
          fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), "export default [")
          yield* shows(hub, "the config cannot be used")
          hub.process.kill("SIGTERM")
          assert.strictEqual(yield* endOf(hub), 0, hub.output())
          const log = hub.output()
          for (const secret of [marker, token]) assert.notInclude(log, secret)
          if (format === "text") return
          const lines = log.trim().split("\n")
          if (format === "logfmt") return lines.forEach((line) => assert.match(line, /^timestamp=\S+ level=/))
          const entries: ReadonlyArray<Json> = lines.map((line) => JSON.parse(line))
          const up = entries.find(({ message }) => message === "the hub is up")
          assert.strictEqual(up.annotations.workspace, workspace)
          const failed = entries.find(({ message }) => message === "plugin failed")
          assert.deepInclude(failed.annotations, {
            plugin: "moody",
            code: "EXECUTION_ERROR",
            error: "Error"
          })
          assert.match(failed.annotations.at, /moody\.mjs:\d+:\d+$/)
        }),
      60_000
    )
  }

  it.live(
    "asks for the token on reads if the config says readAuth, unless a flag says otherwise",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const save = (text: string) =>
          fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), `export default ${text}`)
        save("{ readAuth: true }")
        const start = (...flags: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            const hub = yield* agentlip("up", "--workspace", workspace, ...flags)
            yield* shows(hub, "Plugins (")
            const { host, port, auth_token } = readServerFile(workspace)
            const api = client(`http://${host}:${port}`, auth_token)
            const read = Effect.map(api.get("/api/v1/channels"), ({ status }) => status)
            return { hub, api, read }
          })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { hub, api, read } = yield* start()
            assert.include(hub.output(), "Reads need the token")
            assert.isTrue((yield* api.get("/health")).body.read_auth)
            assert.strictEqual(yield* read, 401)
            const run = commandsOf(workspace)
            assert.match((yield* run("doctor")).out, /ok +hub: it runs at .*Reads need the token/)
            assert.match((yield* run("doctor")).out, /ok +config: .*with readAuth/)
            assert.include((yield* run("status")).out, "Reads need the token")
            // The server stays as it began.
            save("{ readAuth: false }")
            yield* shows(hub, "readAuth is false in the config now; restart the hub to apply it")
            assert.strictEqual(yield* read, 401)
          })
        )
        save("{ readAuth: true, maxSockets: 1 }")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { hub, read } = yield* start("--no-read-auth")
            const { host, port } = readServerFile(workspace)
            const stream = Effect.promise((signal) =>
              fetch(`http://${host}:${port}/api/v1/events/stream`, { signal })
            )
            const first = yield* stream
            assert.deepStrictEqual([first.status, (yield* stream).status], [200, 503])
            yield* Effect.promise(() => first.body?.cancel() ?? Promise.resolve())
            assert.include(hub.output(), "Reads are open to every local user")
            assert.strictEqual(yield* read, 200)
          })
        )
        save('{ readAuth: "yes" }')
        const refused = yield* agentlip("up", "--workspace", workspace)
        assert.strictEqual(yield* endOf(refused), 1)
        assert.include(refused.output(), "readAuth: expected true or false")
      }),
    60_000
  )

  it.live(
    "ends at a second signal at once, whatever keeps it",
    () =>
      Effect.gen(function* () {
        const { workspace, hub, post } = yield* running()
        yield* post("hang")
        const database = new DatabaseSync(path.join(workspace, ".agentlip", "db.sqlite3"), { timeout: 5_000 })
        yield* eventually(
          Effect.sync(() => database.prepare("SELECT 1 FROM derivations WHERE attempts = 1").all()),
          (rows) => rows.length === 1
        )
        // It cannot give its job back, and tries to for five seconds.
        database.exec("BEGIN IMMEDIATE")
        hub.process.kill("SIGINT")
        yield* Effect.sleep(1_000)
        assert.isNull(hub.process.exitCode)
        hub.process.kill("SIGINT")
        // Had it ended by its first signal after all, the code would be 0.
        assert.strictEqual(yield* endOf(hub), 130)
        database.close()
      }),
    60_000
  )
})
