/** The client on Node: finds the hub of a workspace, or starts it. */
import { connect, findWorkspace, readServerFile } from "@agentlip/client/Node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { hubMain, root } from "../../hub/test/hubProcess.ts"
import { eventually, startHub, tempWorkspace } from "../../hub/test/testHub.ts"
import { rejection } from "./rejection.ts"

const serverFileOf = (workspace: string) => path.join(workspace, ".agentlip", "server.json")

/** Runs the hub from its sources. */
const command = [process.execPath, "--conditions=@agentlip/source", path.join(root, hubMain)] as const

/** Stops the hub that a test started in the background. */
const stopped = (workspace: string) =>
  Effect.promise(async () => {
    const { pid } = readServerFile(workspace)
    process.kill(pid, "SIGTERM")
    while (fs.existsSync(serverFileOf(workspace))) await new Promise((resolve) => setTimeout(resolve, 20))
  })

describe("connect", () => {
  it.live("finds the hub of the nearest workspace upwards, and calls it", () =>
    Effect.gen(function* () {
      const workspace = fs.realpathSync(yield* tempWorkspace)
      yield* startHub({ workspace })
      const inner = path.join(workspace, "a", "b")
      fs.mkdirSync(inner, { recursive: true })
      assert.strictEqual(findWorkspace(inner), workspace)
      const { channels } = yield* Effect.promise(async () => (await connect({ workspace })).channels())
      assert.deepStrictEqual(channels, [])
    })
  )

  it.live("says what is wrong with the workspace, and never the token", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const missing = yield* rejection(connect({ workspace }))
      assert.strictEqual(missing.code, "HUB_NOT_RUNNING")
      assert.include(missing.message, `agentlip up --workspace ${workspace}`)
      assert.notInclude(missing.problem, "agentlip up")
      const odd = yield* rejection(connect({ workspace: `${workspace}/it's\u001b[31m` }))
      assert.include(odd.message, `agentlip up --workspace '${workspace}/it'\\''s\\u001b[31m'`)

      const hub = yield* startHub({ workspace })
      const file = serverFileOf(workspace)
      const text = fs.readFileSync(file, "utf8")
      const server = JSON.parse(text)
      const cases: ReadonlyArray<readonly [text: string, code: string, message: RegExp]> = [
        [text.slice(0, -10), "HUB_NOT_RUNNING", /is not JSON/],
        [JSON.stringify({ ...server, port: "80" }), "HUB_NOT_RUNNING", /not what a hub writes/],
        [JSON.stringify({ ...server, host: "example.com" }), "HUB_NOT_RUNNING", /"example\.com"/],
        [JSON.stringify({ ...server, instance_id: "another" }), "HUB_NOT_RUNNING", /stale/],
        [JSON.stringify({ ...server, port: 1 }), "UNREACHABLE", /agentlip up/],
        [JSON.stringify({ ...server, auth_token: "0".repeat(64) }), "NOT_THE_HUB", /does not prove/],
        ["x".repeat(100_000), "UNSAFE_FILE", /larger/]
      ]
      for (const [content, code, message] of cases) {
        fs.writeFileSync(file, content)
        const error = yield* rejection(connect({ workspace }))
        assert.strictEqual(error.code, code, error.message)
        assert.match(error.message, message)
        assert.notInclude(`${error.message}${error.stack}${String(error.cause)}`, hub.token)
      }
      fs.rmSync(file)
      fs.writeFileSync(path.join(workspace, "elsewhere.json"), text)
      fs.symlinkSync(path.join(workspace, "elsewhere.json"), file)
      assert.strictEqual((yield* rejection(connect({ workspace }))).code, "UNSAFE_FILE")
      fs.rmSync(file)
      fs.writeFileSync(file, text)
      yield* Effect.promise(() => connect({ workspace }))
    })
  )

  it.live.runIf(process.getuid?.() === 0)("ignores a server.json of another user, unless told to", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* startHub({ workspace })
      fs.chownSync(serverFileOf(workspace), 12_345, 12_345)
      const error = yield* rejection(connect({ workspace }))
      assert.strictEqual(error.code, "UNSAFE_FILE")
      assert.include(error.message, "another user")
      yield* Effect.promise(() => connect({ workspace, trust: true }))
    })
  )
})

const asRoot = process.getuid?.() === 0 && process.env["SUDO_UID"] === undefined
const other = 12_345

describe("another user", () => {
  it.live.runIf(asRoot)("gets nothing by a server.json of this user in a folder of its own", () =>
    Effect.gen(function* () {
      for (const folder of [".", ".agentlip"]) {
        const workspace = yield* tempWorkspace
        yield* startHub({ workspace })
        const named = path.join(workspace, folder)
        fs.chownSync(named, other, other)
        const error = yield* rejection(connect({ workspace }))
        assert.strictEqual(error.code, "UNSAFE_FILE")
        assert.include(error.message, `${named} belongs to another user (uid ${other})`)
        yield* Effect.promise(() => connect({ workspace, trust: true }))
        fs.chownSync(named, 0, 0)
      }
    })
  )

  it.live.runIf(asRoot)("runs nothing by a package above the workspace, unless told to", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      const workspace = path.join(folder, "mine")
      const hub = path.join(folder, "node_modules", "@agentlip", "hub")
      const proof = path.join(folder, "ran")
      fs.mkdirSync(path.join(hub, "bin"), { recursive: true })
      fs.mkdirSync(workspace)
      fs.writeFileSync(path.join(hub, "package.json"), `{ "name": "@agentlip/hub" }`)
      const program = `require("fs").writeFileSync(${JSON.stringify(proof)}, ""); process.exit(7)`
      fs.writeFileSync(path.join(hub, "bin", "agentlip.js"), program)
      const file = path.join(hub, "bin", "agentlip.js")
      fs.chownSync(file, other, other)
      const error = yield* rejection(connect({ workspace, startIfMissing: true }))
      assert.strictEqual(error.code, "UNSAFE_FILE")
      assert.include(error.message, `${file} belongs to another user`)
      assert.isFalse(fs.existsSync(proof))
      const trusting = yield* rejection(connect({ workspace, startIfMissing: true, trust: true }))
      assert.strictEqual(trusting.code, "NOT_STARTED")
      assert.isTrue(fs.existsSync(proof))
    })
  )
})

describe("startIfMissing", () => {
  it.live(
    "starts one hub, however many ask at once, and uses one that runs",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const options = { workspace, startIfMissing: { command, timeout: 120_000 } }
        yield* Effect.addFinalizer(() => Effect.ignore(stopped(workspace)))
        const hubs = yield* Effect.promise(() => Promise.all([1, 2, 3].map(() => connect(options))))
        const ids = yield* Effect.promise(() =>
          Promise.all(hubs.map(async (hub) => (await hub.health()).instance_id))
        )
        assert.deepStrictEqual(new Set(ids), new Set([readServerFile(workspace).instance_id]))
        const log = path.join(workspace, ".agentlip", "up.log")
        assert.strictEqual(fs.statSync(log).mode & 0o777, 0o600)
        assert.notInclude(fs.readFileSync(log, "utf8"), readServerFile(workspace).auth_token)
        // It runs: nothing is started, so a command that cannot run is no problem.
        const again = yield* Effect.promise(() =>
          connect({ workspace, startIfMissing: { command: ["/no/such/program"] } })
        )
        assert.strictEqual((yield* Effect.promise(() => again.health())).instance_id, ids[0])
      }),
    180_000
  )

  it.live(
    "says why the hub did not start",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const started = (startIfMissing: object) => rejection(connect({ workspace, startIfMissing }))
        const absent = yield* started({ command: ["/no/such/program"] })
        assert.strictEqual(absent.code, "NOT_STARTED")
        assert.include(absent.message, "npm install @agentlip/hub")

        const program = "console.error('the port is taken'); process.exit(7)"
        const failed = yield* started({ command: [process.execPath, "-e", program, "--"] })
        assert.match(failed.message, /exit code 7.*up\.log ends with:\nthe port is taken$/s)

        const idle = "setTimeout(() => {}, 20_000); require('fs').writeFileSync('pid', String(process.pid))"
        const slow = yield* started({ command: [process.execPath, "-e", idle, "--"], timeout: 1_500 })
        assert.match(slow.message, /not ready after 1500 ms/)
        const pid = Number(fs.readFileSync(path.join(workspace, "pid"), "utf8"))
        // What did not become ready in time must not become a hub later.
        const isAlive = Effect.sync(() => {
          try {
            return process.kill(pid, 0)
          } catch {
            return false
          }
        })
        yield* eventually(isAlive, (alive) => !alive)
      }),
    60_000
  )
})
