/** Which workspace a command finds by itself, and whose files it uses. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { findWorkspace as nearest } from "@agentlip/client/Node"
import { isTrusted, requireTrusted } from "../src/workspace/Ownership.ts"
import { commandsOf } from "./cli.ts"
import { agentlip, hubMain, root } from "./hubProcess.ts"
import { spawnSync } from "node:child_process"
import { tempWorkspace } from "./testHub.ts"

const folders = (...names: ReadonlyArray<string>) => {
  for (const name of names) fs.mkdirSync(name, { recursive: true })
}

describe("the search upwards", () => {
  it.live("takes the nearest workspace", () =>
    Effect.gen(function* () {
      const top = fs.realpathSync(yield* tempWorkspace)
      const [outer, inner] = [path.join(top, "outer"), path.join(top, "outer/inner")]
      folders(`${outer}/.agentlip`, `${inner}/.agentlip`, `${inner}/a/b`)
      assert.strictEqual(nearest(`${inner}/a/b`, { home: top }), inner)
      assert.strictEqual(nearest(outer, { home: top }), outer)
    })
  )

  it.live("ends with the home folder", () =>
    Effect.gen(function* () {
      const top = fs.realpathSync(yield* tempWorkspace)
      const home = path.join(top, "home/ada")
      folders(`${top}/.agentlip`, `${home}/project/src`)
      assert.isUndefined(nearest(`${home}/project/src`, { home }))
      assert.isUndefined(nearest(home, { home }))
      assert.strictEqual(nearest(`${home}/project/src`, { home: "/nowhere" }), top)
      folders(`${home}/.agentlip`)
      assert.strictEqual(nearest(`${home}/project/src`, { home }), home)
      // A home that is a link is the folder it leads to.
      fs.symlinkSync(home, `${top}/link`)
      fs.rmdirSync(`${home}/.agentlip`)
      assert.isUndefined(nearest(`${home}/project/src`, { home: `${top}/link` }))
    })
  )

  it.live("stays on one file system", () =>
    Effect.gen(function* () {
      const top = fs.realpathSync(yield* tempWorkspace)
      const mount = path.join(top, "mount")
      folders(`${top}/.agentlip`, `${mount}/a`)
      const deviceOf = (folder: string) => (folder.startsWith(mount) ? 2 : 1)
      assert.isUndefined(nearest(`${mount}/a`, { home: "/nowhere", deviceOf }))
      assert.strictEqual(nearest(`${mount}/a`, { home: "/nowhere", deviceOf: () => 1 }), top)
    })
  )

  it.live(
    "never runs a config above the home folder",
    () =>
      Effect.gen(function* () {
        const top = fs.realpathSync(yield* tempWorkspace)
        const home = path.join(top, "home")
        folders(`${top}/.agentlip`, `${home}/project`)
        const proof = path.join(top, "ran")
        const config = `import fs from "node:fs"; fs.writeFileSync(${JSON.stringify(proof)}, ""); export default {}`
        fs.writeFileSync(path.join(top, "agentlip.config.mjs"), config)
        const check = (HOME: string) =>
          spawnSync(process.execPath, [path.join(root, hubMain), "plugin", "check"], {
            cwd: `${home}/project`,
            env: { ...process.env, HOME },
            encoding: "utf8"
          })
        const { status, stderr } = check(home)
        assert.strictEqual(status, 1)
        assert.include(stderr, "has no agentlip.config.ts")
        assert.isFalse(fs.existsSync(proof))
        // The same search without the home in its way does run it.
        check("/nowhere")
        assert.isTrue(fs.existsSync(proof))
      }),
    60_000
  )
})

describe("owners", () => {
  it("are trusted if they are the process's user, root, or the user who called sudo", () => {
    assert.isTrue(isTrusted(1000, { uid: 1000 }))
    assert.isTrue(isTrusted(0, { uid: 1000 }))
    assert.isFalse(isTrusted(1001, { uid: 1000 }))
    assert.isFalse(isTrusted(1000, { uid: 0 }))
    assert.isTrue(isTrusted(1000, { uid: 0, sudoUid: 1000 }))
    assert.isFalse(isTrusted(1001, { uid: 0, sudoUid: 1000 }))
    // Only root gets a say in who called it.
    assert.isFalse(isTrusted(1001, { uid: 1000, sudoUid: 1001 }))
  })

  it.live("are looked at on the folder, the config, and what the hub keeps", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const uid = fs.statSync(workspace).uid
      requireTrusted(workspace, { uid })
      if (uid !== 0)
        assert.throws(() => requireTrusted(workspace, { uid: uid + 1 }), /belongs to another user/)
      requireTrusted(path.join(workspace, "missing"), { uid: uid + 1 })
    })
  )

  it.live("a config behind a link is refused", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      fs.symlinkSync("/tmp/elsewhere.mjs", path.join(workspace, "agentlip.config.mjs"))
      for (const command of [["up"], ["doctor"], ["plugin", "check"]]) {
        const { code, out, err } = yield* commandsOf(workspace)(...command)
        assert.strictEqual(code, 1)
        assert.include(out + err, "agentlip.config.mjs is a link to /tmp/elsewhere.mjs")
        assert.include(out + err, "--trust")
      }
    })
  )

  const asRoot = process.geteuid?.() === 0 && process.env["SUDO_UID"] === undefined
  for (const name of [".", "agentlip.config.mjs", ".agentlip", ".agentlip/server.json"]) {
    it.live.runIf(asRoot)(`of another user make commands refuse ${name}, and run nothing`, () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const proof = path.join(workspace, "ran")
        const config = `import fs from "node:fs"; fs.writeFileSync(${JSON.stringify(proof)}, ""); export default {}`
        fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), config)
        folders(path.join(workspace, ".agentlip"))
        fs.writeFileSync(path.join(workspace, ".agentlip/server.json"), "{}")
        fs.chownSync(path.join(workspace, name), 65_534, 65_534)
        const run = commandsOf(workspace)
        for (const command of [
          ["up"],
          ["status"],
          ["msg", "send", "a/b", "hello"],
          ["plugin", "check"],
          ["down"]
        ]) {
          const { code, err } = yield* run(...command, "--json")
          assert.strictEqual(code, 1, err)
          assert.strictEqual(JSON.parse(err).code, "UNTRUSTED")
        }
        const { code, out } = yield* run("doctor")
        assert.strictEqual(code, 1)
        assert.match(
          out,
          /problem {2}owner: .* belongs to another user \(uid 65534; this process runs as 0\)/
        )
        assert.isFalse(fs.existsSync(proof))
        yield* run("plugin", "check", "--trust")
        assert.isTrue(fs.existsSync(proof))
      })
    )
  }

  it.live.runIf(asRoot)(
    "of another user are used by a hub with --trust",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        folders(path.join(workspace, ".agentlip"))
        fs.chownSync(path.join(workspace, ".agentlip"), 65_534, 65_534)
        const hub = yield* agentlip("up", "--workspace", workspace)
        assert.strictEqual(yield* Effect.promise(() => hub.ended), 1)
        assert.include(hub.output(), "pass --trust")
        const trusting = yield* agentlip("up", "--workspace", workspace, "--trust")
        const { code } = yield* Effect.gen(function* () {
          while (!trusting.output().includes("Plugins (")) yield* Effect.sleep(50)
          return yield* commandsOf(workspace)("status", "--trust")
        })
        assert.strictEqual(code, 0)
      }),
    60_000
  )
})

describe("a server.json", () => {
  const content = (host: string) =>
    JSON.stringify({
      instance_id: "forged",
      db_id: "forged",
      host,
      port: 1,
      auth_token: "0".repeat(64),
      pid: process.pid,
      started_at: "2020-01-01T00:00:00.000Z"
    })
  for (const host of [
    "127.0.0.2",
    "127.1",
    "0.0.0.0",
    "::ffff:127.0.0.1",
    "example.com",
    "localhost.example.com",
    "127.0.0.1@example.com"
  ]) {
    it.live(`that names the host ${host} is ignored, and says so`, () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        folders(path.join(workspace, ".agentlip"))
        fs.writeFileSync(path.join(workspace, ".agentlip/server.json"), content(host), { mode: 0o600 })
        const status = yield* commandsOf(workspace)("status")
        assert.strictEqual(status.code, 3)
        assert.include(status.err, `is ignored, because it names the host "${host}"`)
        const doctor = yield* commandsOf(workspace)("doctor")
        assert.include(doctor.out, `names the host "${host}"`)
      })
    )
  }
})
