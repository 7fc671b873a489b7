/** What stands in the way of a workspace's files: links, pipes, devices. Nothing behind them is read, written or closed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as SafeFiles from "../src/workspace/SafeFiles.ts"
import { Workspace } from "../src/workspace/Workspace.ts"
import { WriterLock } from "../src/workspace/WriterLock.ts"
import { agentlipProcess, commandsOf } from "./cli.ts"
import { startHub, tempWorkspace } from "./testHub.ts"

const fifo = (file: string) => execFileSync("mkfifo", [file])

/** A workspace, and a file of somebody's beside it that must stay as it is. */
const scene = Effect.gen(function* () {
  const folder = yield* tempWorkspace
  const workspace = path.join(folder, "ws")
  fs.mkdirSync(workspace)
  const file = path.join(folder, "precious.txt")
  fs.writeFileSync(file, "precious", { mode: 0o644 })
  fs.chmodSync(file, 0o644)
  const store = path.join(folder, "store")
  fs.mkdirSync(store)
  fs.chmodSync(store, 0o755)
  const isUntouched = () => {
    assert.strictEqual(fs.readFileSync(file, "utf8"), "precious")
    assert.strictEqual(fs.statSync(file).mode & 0o777, 0o644)
    assert.strictEqual(fs.statSync(store).mode & 0o777, 0o755)
    assert.deepStrictEqual(fs.readdirSync(store), [])
    assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["precious.txt", "store", "ws"])
  }
  const at = (name: string) => path.join(workspace, name)
  const link = (name: string, target: string) => {
    fs.mkdirSync(path.dirname(at(name)), { recursive: true, mode: 0o700 })
    fs.symlinkSync(target, at(name))
  }
  return { folder, workspace, file, store, at, link, isUntouched }
})

const failureOf = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(self), (exit) => (Exit.isSuccess(exit) ? "it worked" : String(exit.cause)))

describe("a hub", () => {
  const links = [
    [".agentlip", "store"],
    [".agentlip/locks", "store"],
    [".agentlip/locks/writer.lock", "file"],
    [".agentlip/locks/writer.mutex", "file"],
    [".agentlip/locks/writer.mutex-wal", "file"],
    [".agentlip/db.sqlite3", "file"],
    [".agentlip/db.sqlite3-wal", "file"],
    [".agentlip/db.sqlite3-shm", "file"],
    [".agentlip/db.sqlite3-journal", "file"],
    [".agentlip/server.json", "file"],
    [".agentlip/db.sqlite3", "nothing"],
    [".agentlip/locks/writer.mutex", "nothing"],
    [".agentlip/server.json", "nothing"]
  ] as const
  for (const [name, target] of links) {
    it.live(`refuses a link at ${name} to ${target}, and leaves its target as it is`, () =>
      Effect.gen(function* () {
        const { folder, workspace, at, link, isUntouched, ...targets } = yield* scene
        link(name, target === "nothing" ? path.join(folder, "new") : targets[target])
        const failure = yield* failureOf(Effect.scoped(startHub({ workspace })))
        assert.include(failure, `${at(name)} is a link`)
        isUntouched()
      })
    )
  }

  it.live("closes a folder and a database that are its own and open to others", () =>
    Effect.gen(function* () {
      const { workspace, at } = yield* scene
      yield* Effect.scoped(startHub({ workspace }))
      fs.chmodSync(at(".agentlip"), 0o755)
      fs.chmodSync(at(".agentlip/locks"), 0o755)
      fs.chmodSync(at(".agentlip/db.sqlite3"), 0o644)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startHub({ workspace })
          const modes = [".agentlip", ".agentlip/locks", ".agentlip/db.sqlite3", ".agentlip/db.sqlite3-wal"]
          assert.deepStrictEqual(
            modes.map((name) => fs.statSync(at(name)).mode & 0o777),
            [0o700, 0o700, 0o600, 0o600]
          )
        })
      )
    })
  )

  it.live("makes a database that is its owner's only, whatever the umask", () =>
    Effect.gen(function* () {
      const { workspace, at } = yield* scene
      const before = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(before)))
      yield* startHub({ workspace })
      assert.strictEqual(fs.statSync(at(".agentlip/db.sqlite3")).mode & 0o777, 0o600)
    })
  )

  it.live("says that a workspace's path is too long", () =>
    Effect.gen(function* () {
      const { folder } = yield* scene
      const workspace = path.join(folder, ...Array.from({ length: 7 }, () => "x".repeat(100)))
      fs.mkdirSync(workspace, { recursive: true })
      const failure = yield* failureOf(Effect.scoped(startHub({ workspace })))
      assert.match(failure, /path has \d+ bytes, and the database takes \d+ at most/)
    })
  )

  it.live("works at the longest path", () =>
    Effect.gen(function* () {
      const { folder } = yield* scene
      const rest = 440 - folder.length - 4 * 101 - 1
      const workspace = path.join(
        folder,
        ...Array.from({ length: 4 }, () => "x".repeat(100)),
        "y".repeat(Math.max(1, rest))
      )
      fs.mkdirSync(workspace, { recursive: true })
      const hub = yield* startHub({ workspace })
      assert.strictEqual((yield* hub.post("/api/v1/channels", { name: "deep" })).status, 201)
    })
  )
})

describe("agentlip init", () => {
  const links = [
    [".agentlip", "store"],
    [".agentlip/.gitignore", "file"],
    [".agentlip/.gitignore", "nothing"],
    ["plugins", "store"]
  ] as const
  for (const [name, target] of links) {
    it.live(`refuses a link at ${name} to ${target}, and makes nothing`, () =>
      Effect.gen(function* () {
        const { folder, workspace, at, link, isUntouched, ...targets } = yield* scene
        link(name, target === "nothing" ? path.join(folder, "new") : targets[target])
        const { code, err } = yield* commandsOf(workspace)("init")
        assert.strictEqual(code, 1)
        assert.include(err, `${at(name)} is a link`)
        isUntouched()
        assert.isFalse(fs.existsSync(at("agentlip.config.ts")))
      })
    )
  }

  it.live("leaves a .gitignore that is there as it is", () =>
    Effect.gen(function* () {
      const { workspace, at } = yield* scene
      fs.mkdirSync(at(".agentlip"))
      fs.writeFileSync(at(".agentlip/.gitignore"), "*\n!notes.md\n")
      assert.strictEqual((yield* commandsOf(workspace)("init")).code, 0)
      assert.strictEqual(fs.readFileSync(at(".agentlip/.gitignore"), "utf8"), "*\n!notes.md\n")
      assert.strictEqual(fs.statSync(at(".agentlip")).mode & 0o777, 0o700)
    })
  )
})

describe("commands", () => {
  const obstacles = {
    "a pipe": fifo,
    "/dev/zero": (file: string) => fs.symlinkSync("/dev/zero", file),
    "a file of 1 MiB": (file: string) => fs.writeFileSync(file, "x".repeat(1024 * 1024))
  }
  for (const [what, make] of Object.entries(obstacles)) {
    for (const name of ["server.json", "locks/writer.lock"]) {
      it.live(
        `end with a reason when ${name} is ${what}`,
        () =>
          Effect.gen(function* () {
            const { workspace, at } = yield* scene
            fs.mkdirSync(at(".agentlip/locks"), { recursive: true, mode: 0o700 })
            make(at(`.agentlip/${name}`))
            const command = name === "server.json" ? "status" : "doctor"
            const { code, out, err } = yield* agentlipProcess([command, "--workspace", workspace])
            assert.isAbove(code, 0)
            assert.match(out + err, new RegExp(`${name} is (a pipe|a link|larger than)`))
          }),
        60_000
      )
    }
  }

  it.live("a pipe in the place of the lock keeps no hub from saying so", () =>
    Effect.gen(function* () {
      const { workspace, at } = yield* scene
      fs.mkdirSync(at(".agentlip/locks"), { recursive: true, mode: 0o700 })
      fifo(at(".agentlip/locks/writer.lock"))
      const layer = WriterLock.layer.pipe(Layer.provide(Workspace.layer(workspace)))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error._tag, "LockUnusable")
      assert.include(error.message, "is a pipe, not a file")
    })
  )
})

describe("SafeFiles", () => {
  it.live("replaces a file as a whole, and leaves nothing beside it", () =>
    Effect.gen(function* () {
      const { workspace, at } = yield* scene
      SafeFiles.replace(at("a"), "one")
      SafeFiles.replace(at("a"), "two")
      assert.strictEqual(SafeFiles.read(at("a")), "two")
      assert.strictEqual(fs.statSync(at("a")).mode & 0o777, 0o600)
      assert.deepStrictEqual(fs.readdirSync(workspace), ["a"])
      assert.throws(() => SafeFiles.create(at("a"), "three"), /EEXIST/)
      assert.isUndefined(SafeFiles.read(at("missing")))
      assert.throws(() => SafeFiles.read(workspace), /is a folder, not a file/)
      if (process.platform === "linux") assert.throws(() => SafeFiles.read("/dev/zero"), /is a device/)
    })
  )
})
