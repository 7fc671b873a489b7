import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { connect } from "node:net"
import * as path from "node:path"
import { agentlip, alive, descendants, type Run, shows } from "./hubProcess.ts"
import { client, eventually, type Json, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

/** Deaf to everything but a kill, each in its way. */
const deaf = {
  spins: "while (true) {}",
  waits: "return new Promise(() => setInterval(() => {}, 1000))",
  ignores: "signal.addEventListener('abort', () => { while (true) {} }); return new Promise(() => {})",
  churns: "for (;;) new Array(100).fill(0)"
}

const plugins = [
  { name: "spins", modulePath: "./spins.ts", timeout: "1 minute" },
  { name: "spins-in-a-thread", modulePath: "./spins.ts", timeout: "1 minute", isolation: "thread" },
  { name: "waits", modulePath: "./waits.ts", timeout: "1 minute", reuse: "never" },
  { name: "ignores", modulePath: "./ignores.ts", timeout: "1 minute" },
  { name: "churns", modulePath: "./churns.ts", timeout: "1 minute", isolation: "thread" }
]

/** A hub whose plugins are all in the middle of a run that never ends. */
const busyHub = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  fs.writeFileSync(
    path.join(workspace, "agentlip.config.ts"),
    `export default { linkifiers: ${JSON.stringify(plugins)} }`
  )
  for (const [name, body] of Object.entries(deaf)) {
    fs.writeFileSync(
      path.join(workspace, `${name}.ts`),
      `export default { name: "${name}", version: "1.0.0", enrich: (input, { signal } = {}) => { console.log("busy"); ${body} } }`
    )
  }
  const hub = yield* agentlip("up", "--workspace", workspace)
  yield* shows(hub, "ok      linkifier churns")
  const { port, auth_token } = readServerFile(workspace)
  const api = client(`http://127.0.0.1:${port}`, auth_token)
  const { topic } = yield* makeTopic(api)
  const { body } = yield* api.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
  yield* eventually(Effect.sync(hub.output), (log) => log.split("busy").length > plugins.length)
  const pid = hub.process.pid ?? 0
  assert.isAtLeast(descendants(pid).size, 3)
  return { hub, pid, port, api, message: String(body.message.id) }
})

const endOf = ({ ended }: Run) => Effect.promise(() => ended)

describe.skipIf(process.platform !== "linux")("a hub whose plugins never answer", () => {
  it.live(
    "is gone soon after SIGTERM, and every process of its with it",
    () =>
      Effect.gen(function* () {
        const { hub, pid, port, api, message } = yield* busyHub
        const { body } = yield* api.get(`/api/v1/messages/${message}/derivations`)
        assert.deepStrictEqual(
          body.derivations.map(({ state }: Json) => state),
          plugins.map(() => "pending")
        )
        // A client that never finishes its request.
        const client = connect(port, "127.0.0.1", () => client.write("POST /api/v1/messages HTTP/1.1\r\n"))
        client.on("error", () => {})
        yield* eventually(
          Effect.sync(() => client.bytesWritten),
          (written) => written > 0
        )

        const seen = new Map(descendants(pid))
        const watching = setInterval(() => {
          for (const [child, start] of descendants(pid)) seen.set(child, start)
        }, 10)
        const stopped = Date.now()
        hub.process.kill("SIGTERM")
        const code = yield* endOf(hub)
        const taken = Date.now() - stopped
        clearInterval(watching)
        client.destroy()
        assert.strictEqual(code, 0, hub.output())
        // Its plugins have a minute, and the client has no end.
        assert.isBelow(taken, 10_000)
        assert.deepStrictEqual(alive(seen), [])
      }),
    60_000
  )

  it.live(
    "leaves no process behind when it is killed",
    () =>
      Effect.gen(function* () {
        const { hub, pid } = yield* busyHub
        // Stopped, it starts nothing more: what it has now is all there is.
        hub.process.kill("SIGSTOP")
        const children = descendants(pid)
        assert.isAtLeast(alive(children).length, 3)
        hub.process.kill("SIGKILL")
        yield* endOf(hub)
        yield* eventually(
          Effect.sync(() => alive(children)),
          (left) => left.length === 0,
          10_000
        )
      }),
    60_000
  )
})

/** What keeps the loader of a plugin busy for good, or would wherever a file is opened as it comes. */
const stuck = ["compiles", "pipe", "zero"]

const makeStuck = (workspace: string): void => {
  const plugin = 'export default { name: "p", version: "1.0.0", enrich: () => [] }\n'
  for (const name of stuck) {
    fs.mkdirSync(path.join(workspace, name))
    fs.writeFileSync(path.join(workspace, name, "plugin.js"), plugin)
  }
  // A few hundred bytes that take the compiler years.
  const exponential = `const f = ${"async <T>(a = ".repeat(40)}1${")".repeat(40)}\n`
  fs.writeFileSync(path.join(workspace, "compiles/plugin.ts"), exponential + plugin)
  execFileSync("mkfifo", [path.join(workspace, "pipe/package.json")])
  fs.symlinkSync("/dev/zero", path.join(workspace, "zero/package.json"))
}

/** A hub with a loader that is stuck for a minute, on each level, and a plugin that is not. */
const stuckHub = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  makeStuck(workspace)
  fs.mkdirSync(path.join(workspace, "good"))
  fs.writeFileSync(
    path.join(workspace, "good/plugin.ts"),
    'export default { name: "good", version: "1.0.0", async enrich() { const { kind } = await import("./late.ts"); return [{ kind, span: { start: 0, end: 1 }, data: {} }] } }'
  )
  fs.writeFileSync(path.join(workspace, "good/late.ts"), 'export const kind: string = "late"')
  const linkifiers = [
    ...["thread", "process", "wasm"].map((isolation) => ({
      name: `compiles-${isolation}`,
      modulePath: "./compiles/plugin.ts",
      timeout: "1 minute",
      isolation
    })),
    { name: "pipe", modulePath: "./pipe/plugin.js", timeout: "1 minute" },
    { name: "zero", modulePath: "./zero/plugin.js", timeout: "1 minute" },
    { name: "good", modulePath: "./good/plugin.ts", timeout: "20 seconds" }
  ]
  fs.writeFileSync(
    path.join(workspace, "agentlip.config.ts"),
    `export default { linkifiers: ${JSON.stringify(linkifiers)} }`
  )
  const hub = yield* agentlip("up", "--workspace", workspace)
  yield* eventually(
    Effect.sync(() => fs.existsSync(path.join(workspace, ".agentlip/server.json"))),
    (there) => there
  )
  const { port, auth_token } = readServerFile(workspace)
  const api = client(`http://127.0.0.1:${port}`, auth_token)
  const { topic } = yield* makeTopic(api)
  const { body } = yield* api.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
  // It loads, imports and runs beside them, which they go on being stuck in.
  const derivations = yield* eventually(
    Effect.map(api.get(`/api/v1/messages/${body.message.id}/derivations`), ({ body }) => body.derivations),
    (found) => found?.some(({ plugin_name, state }: Json) => plugin_name === "good" && state === "committed"),
    20_000
  )
  assert.strictEqual(
    derivations.filter(
      ({ plugin_name, state }: Json) => plugin_name.startsWith("compiles") && state === "pending"
    ).length,
    3
  )
  return hub
})

describe.skipIf(process.platform !== "linux")("a hub whose plugins never load", () => {
  it.live(
    "runs the others, and is gone within seconds of SIGTERM",
    () =>
      Effect.gen(function* () {
        const hub = yield* stuckHub
        const children = descendants(hub.process.pid ?? 0)
        const stopped = Date.now()
        hub.process.kill("SIGTERM")
        const code = yield* endOf(hub)
        assert.strictEqual(code, 0, hub.output())
        assert.isBelow(Date.now() - stopped, 10_000)
        assert.deepStrictEqual(alive(children), [])
      }),
    60_000
  )

  it.live(
    "is gone at once at a second signal",
    () =>
      Effect.gen(function* () {
        const hub = yield* stuckHub
        // Two of one kind may arrive as one.
        hub.process.kill("SIGTERM")
        hub.process.kill("SIGINT")
        // Had it taken its time, the code would be 0.
        assert.strictEqual(yield* endOf(hub), 130)
      }),
    60_000
  )
})
