/** Real hubs that start in the background and stop by themselves. */
import { readServerFile as read } from "@agentlip/client/Node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { agentlip, type Run, root, run, shows } from "./hubProcess.ts"
import { eventually, type Json, readServerFile, tempWorkspace } from "./testHub.ts"

const ended = ({ ended }: Run) => Effect.promise(() => ended)

const serverFileOf = (workspace: string) => path.join(workspace, ".agentlip", "server.json")

/** Runs a command to its end. */
const command = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const started = yield* agentlip(...args)
  const code = yield* ended(started)
  return { code, output: started.output() }
})

/** Stops whatever hub of the workspace is left. */
const stopAtEnd = (workspace: string) =>
  Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (fs.existsSync(serverFileOf(workspace))) process.kill(read(workspace).pid, "SIGKILL")
    })
  )

describe("agentlip up --detach", () => {
  it.live(
    "returns when the hub is ready, which goes on; a second one exits with 10",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        yield* stopAtEnd(workspace)
        const up = ["up", "--detach", "--workspace", workspace]
        const first = yield* command(...up, "--host", "::1", "--json")
        assert.strictEqual(first.code, 0, first.output)
        const server = readServerFile(workspace)
        const log = path.join(workspace, ".agentlip", "up.log")
        const url = `http://[::1]:${server.port}`
        assert.deepStrictEqual(JSON.parse(first.output), {
          status: "ok",
          workspace,
          url,
          pid: server.pid,
          log
        })
        const health: Json = yield* Effect.promise(async () => (await fetch(`${url}/health`)).json())
        assert.deepInclude(health, { instance_id: server.instance_id, pid: server.pid })
        assert.strictEqual(fs.statSync(log).mode & 0o777, 0o600)
        assert.include(fs.readFileSync(log, "utf8"), url)

        const second = yield* command(...up)
        assert.strictEqual(second.code, 10)
        assert.include(second.output, `A hub already runs on this workspace at ${url}`)
        assert.strictEqual((yield* command("up", "--workspace", workspace)).code, 10)
        assert.strictEqual(readServerFile(workspace).instance_id, server.instance_id)
        assert.notInclude(fs.readFileSync(log, "utf8"), server.auth_token)

        const down = yield* command("down", "--workspace", workspace)
        assert.strictEqual(down.code, 0, down.output)
        assert.isFalse(fs.existsSync(serverFileOf(workspace)))
        const text = yield* command(...up)
        assert.include(text.output, `down -w ${workspace}`)
        assert.include(text.output, log)
      }),
    180_000
  )

  it.live(
    "says why the hub did not start",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), "export default {")
        const { code, output } = yield* command("up", "--detach", "--workspace", workspace)
        assert.strictEqual(code, 1)
        assert.match(output, /did not start: it ended with exit code 1\..*agentlip\.config\.mjs/s)
        assert.isFalse(fs.existsSync(serverFileOf(workspace)))
      }),
    60_000
  )
})

describe("--idle-shutdown", () => {
  for (const [file, ...flags] of [
    ["agentlip.js", "--idle-shutdown", "2s"],
    // As clients of Agentlip v1 start it.
    ["agentlipd.js", "--idle-shutdown-ms", "2000", "--host", "127.0.0.1", "--port", "0", "--json"]
  ] as const) {
    it.live(
      `of ${file} stops a hub when its last client has left`,
      () =>
        Effect.gen(function* () {
          const workspace = yield* tempWorkspace
          const hub = yield* run([`hub/bin/${file}`, "up", "--workspace", workspace, ...flags])
          yield* eventually(
            Effect.sync(() => fs.existsSync(serverFileOf(workspace))),
            (exists) => exists
          )
          const { host, port, instance_id } = readServerFile(workspace)
          const stop = new AbortController()
          const stream = `http://${host}:${port}/api/v1/events/stream`
          yield* Effect.promise(() => fetch(stream, { signal: stop.signal }))
          if (file === "agentlipd.js") {
            yield* shows(hub, '"status":"running"')
            const document = hub.stdout().split("\n")[0] ?? ""
            const running = {
              status: "running",
              host,
              port,
              workspace_root: fs.realpathSync(workspace),
              instance_id
            }
            assert.deepStrictEqual(JSON.parse(document), running)
          } else yield* shows(hub, "Plugins (")
          // Longer than an idle hub stays.
          yield* Effect.sleep("2500 millis")
          assert.isNull(hub.process.exitCode)
          stop.abort()
          assert.strictEqual(yield* ended(hub), 0, hub.output())
          assert.include(hub.output(), "No client was there for 2s: the hub stops")
          assert.match(hub.output(), /the hub has stopped/i)
          assert.isFalse(fs.existsSync(serverFileOf(workspace)))
        }),
      60_000
    )
  }

  it.live("refuses what is no time", () =>
    Effect.gen(function* () {
      const { code, output } = yield* command("up", "--idle-shutdown", "soon", "-w", yield* tempWorkspace)
      assert.strictEqual(code, 1)
      assert.include(output, "--idle-shutdown")
    })
  )
})

describe("startIfMissing", () => {
  it.live(
    "of several processes at once starts one hub, and all of them use it",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        yield* stopAtEnd(workspace)
        const command = [
          process.execPath,
          "--conditions=@agentlip/source",
          path.join(root, "hub/bin/agentlip.js")
        ]
        const program = `
          import { connect } from "@agentlip/client/Node"
          const options = { workspace: ${JSON.stringify(workspace)}, startIfMissing: {
            command: ${JSON.stringify(command)}, args: ["--idle-shutdown", "5m"], timeout: 120_000 } }
          const hub = await connect(options)
          const name = String(process.pid)
          await hub.createChannel({ payload: { name } })
          const { instance_id } = await hub.health()
          console.log(instance_id)`
        const programs = yield* Effect.forEach(
          Array.from({ length: 5 }),
          () => run(["--input-type=module", "-e", program]),
          { concurrency: "unbounded" }
        )
        const codes = yield* Effect.forEach(programs, ended, { concurrency: "unbounded" })
        assert.deepStrictEqual(
          codes,
          codes.map(() => 0),
          programs.map(({ output }) => output()).join("\n")
        )
        const ids = new Set(programs.map(({ output }) => output().trim()))
        const { instance_id, host, port } = readServerFile(workspace)
        assert.deepStrictEqual(ids, new Set([instance_id]))
        const channels: Json = yield* Effect.promise(async () =>
          (await fetch(`http://${host}:${port}/api/v1/channels`)).json()
        )
        assert.strictEqual(channels.channels.length, 5)
        // Every other hub that was started has said so, and ended.
        const log = fs.readFileSync(path.join(workspace, ".agentlip", "up.log"), "utf8")
        assert.strictEqual(log.split("The hub of ").length, 2, log)
      }),
    180_000
  )
})
