import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Workspace } from "../src/workspace/Workspace.ts"
import { WriterLock } from "../src/workspace/WriterLock.ts"
import { run, shows } from "./hubProcess.ts"
import { eventually, startHub, tempWorkspace } from "./testHub.ts"

const fileOf = (workspace: string) => path.join(workspace, ".agentlip", "locks", "writer.lock")
const mutexOf = (workspace: string) => path.join(path.dirname(fileOf(workspace)), "writer.mutex")
const build = (workspace: string) =>
  Effect.map(Layer.build(WriterLock.layer.pipe(Layer.provide(Workspace.layer(workspace)))), () =>
    JSON.parse(fs.readFileSync(fileOf(workspace), "utf8"))
  )

const put = (workspace: string, content: string) => {
  fs.mkdirSync(path.dirname(fileOf(workspace)), { recursive: true })
  fs.writeFileSync(fileOf(workspace), content)
}
const goneHolder = () =>
  JSON.stringify({
    pid: spawnSync(process.execPath, ["--version"]).pid,
    instance_id: "gone",
    process_start: "1",
    started_at: "2020-01-01T00:00:00.000Z"
  })

describe("the lock of a workspace", () => {
  it.live("is written for the owner alone, and removed with the scope", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { pid, instance_id, started_at } = yield* build(workspace)
          assert.strictEqual(pid, process.pid)
          assert.isString(instance_id)
          assert.isFalse(Number.isNaN(Date.parse(started_at)))
          assert.strictEqual(fs.statSync(fileOf(workspace)).mode & 0o777, 0o600)
          assert.strictEqual(fs.statSync(path.dirname(fileOf(workspace))).mode & 0o777, 0o700)
        })
      )
      assert.isFalse(fs.existsSync(fileOf(workspace)))
    })
  )

  it.live("refuses a second hub, and says who holds it, where, and what to do", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const error = yield* Effect.flip(build(hub.workspace))
      assert.strictEqual(error._tag, "WorkspaceLocked")
      assert.include(error.message, `process ${process.pid}`)
      assert.include(error.message, hub.url)
      assert.include(error.message, "stop it")
      fs.rmSync(path.join(hub.workspace, ".agentlip", "server.json"))
      const { message } = yield* Effect.flip(build(hub.workspace))
      assert.include(message, `Process ${process.pid}, started `)
      assert.include(message, "a hub that starts or whose server.json is missing, or a command")
      const { body } = yield* hub.get("/health")
      assert.strictEqual(
        JSON.parse(fs.readFileSync(fileOf(hub.workspace), "utf8")).instance_id,
        body.instance_id
      )
    })
  )

  it.live("refuses a second hub that comes by another path, and keeps the first one's lock", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* build(workspace)
      const link = `${workspace}-link`
      fs.symlinkSync(workspace, link)
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(link)))
      assert.strictEqual((yield* Effect.flip(build(link)))._tag, "WorkspaceLocked")
      const other = yield* run(["hub/test/lockingHub.ts", workspace])
      yield* shows(other, `refused Process ${process.pid}, started `)
    })
  )

  it.live("is held by the kernel: nobody gets it by changing or deleting writer.lock", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* build(workspace)
      for (const content of [goneHolder(), "", "{"]) {
        put(workspace, content)
        const { message, _tag } = yield* Effect.flip(build(workspace))
        assert.strictEqual(_tag, "WorkspaceLocked")
        assert.include(message, "does not name a process that runs here")
      }
      fs.rmSync(fileOf(workspace))
      const other = yield* run(["hub/test/lockingHub.ts", workspace])
      yield* shows(other, "refused Another process holds the lock")
    })
  )

  it.live("is not copied with the folder", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const copy = yield* tempWorkspace
      yield* build(workspace)
      // Another process copies it: this one would lose its lock.
      execFileSync("cp", ["-r", path.join(workspace, ".agentlip"), copy])
      assert.strictEqual((yield* build(copy)).pid, process.pid)
    })
  )

  it.live("is taken over from a process that is gone", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      put(workspace, goneHolder())
      assert.strictEqual((yield* build(workspace)).pid, process.pid)
    })
  )

  it.live.skipIf(process.platform !== "linux")("is taken over from a process whose id is used again", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      put(workspace, JSON.stringify({ ...JSON.parse(goneHolder()), pid: process.pid }))
      assert.notStrictEqual((yield* build(workspace)).instance_id, "gone")
    })
  )

  for (const content of ["", "{", '{"pid":0}', '{"pid":1}', "x".repeat(100_000)]) {
    it.live(`ignores files of another format: ${JSON.stringify(content.slice(0, 10))}`, () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        put(workspace, content)
        fs.writeFileSync(mutexOf(workspace), content)
        assert.strictEqual((yield* build(workspace)).pid, process.pid)
        // The mutex holds the lock although it was of another format.
        const other = yield* run(["hub/test/lockingHub.ts", workspace])
        yield* shows(other, "refused")
      })
    )
  }

  it.live("stays when it is another's by the end", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* Effect.scoped(
        Effect.andThen(
          build(workspace),
          Effect.sync(() => put(workspace, goneHolder()))
        )
      )
      assert.include(fs.readFileSync(fileOf(workspace), "utf8"), "gone")
    })
  )

  it.live(
    "goes to exactly one of many hubs that find a dead holder at once, and on when that one is killed",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        put(workspace, goneHolder())
        const start = String(Date.now() + 4_000)
        const hubs = yield* Effect.forEach(Array.from({ length: 6 }), () =>
          run(["hub/test/lockingHub.ts", workspace, start])
        )
        yield* eventually(
          Effect.sync(() => hubs.map(({ output }) => output())),
          (outputs) => outputs.every((output) => output.includes("\n"))
        )
        const winners = hubs.filter(({ output }) => output().startsWith("held"))
        assert.strictEqual(winners.length, 1, hubs.map(({ output }) => output()).join(""))
        const [winner] = winners
        for (const hub of hubs) {
          if (hub !== winner) assert.include(hub.output(), `Process ${winner?.process.pid},`)
        }
        winner?.process.kill("SIGKILL")
        yield* Effect.promise(async () => winner?.ended)
        const next = yield* run(["hub/test/lockingHub.ts", workspace])
        yield* shows(next, "held")
      }),
    60_000
  )
})
