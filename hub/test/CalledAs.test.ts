/** How a command was called, and the hints that say so. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { callOf } from "../src/cli/calledAs.ts"
import { hubMain, root } from "./hubProcess.ts"
import { tempWorkspace } from "./testHub.ts"

const npm = { npm_command: "exec", npm_config_user_agent: "npm/11.0.0 node/v26.5.1 linux x64" }
const base = { script: "/ws/node_modules/.bin/agentlip", nodeOptions: [], env: {}, cwd: "/ws" }

describe("how the command was called", () => {
  it("names the package manager's runner, the path, or the name alone if PATH has it", () => {
    assert.strictEqual(callOf({ ...base, env: npm }), "npx agentlip")
    const pnpm = { npm_command: "exec", npm_config_user_agent: "pnpm/10.1.0 npm/? node/v26.5.1 linux x64" }
    assert.strictEqual(callOf({ ...base, env: pnpm }), "pnpm exec agentlip")
    assert.strictEqual(callOf({ ...base, env: { PATH: "/usr/bin" } }), "node_modules/.bin/agentlip")
    assert.strictEqual(
      callOf({ ...base, script: "/usr/bin/agentlip", env: { PATH: "/bin:/usr/bin" } }),
      "agentlip"
    )
    assert.strictEqual(
      callOf({ ...base, script: "/my tools/agentlip", env: { PATH: "/bin" } }),
      "'/my tools/agentlip'"
    )
  })

  it("names agentlip, which has all commands, if it was called as agentlipd", () => {
    const script = "/ws/node_modules/.bin/agentlipd"
    assert.strictEqual(callOf({ ...base, script }), "node_modules/.bin/agentlip")
    assert.strictEqual(callOf({ ...base, script: "/repo/bin/agentlipd.js" }), "node /repo/bin/agentlip.js")
  })

  it("names Node, its options and the script if it was given the script", () => {
    const script = { ...base, script: "/repo/hub/bin/agentlip.js" }
    assert.strictEqual(callOf(script), "node /repo/hub/bin/agentlip.js")
    assert.strictEqual(callOf({ ...script, cwd: "/repo" }), "node hub/bin/agentlip.js")
    assert.strictEqual(callOf({ ...script, cwd: "/repo/hub/bin" }), "node ./agentlip.js")
    assert.strictEqual(callOf({ ...script, env: npm }), "npx node /repo/hub/bin/agentlip.js")
    assert.strictEqual(
      callOf({ ...script, nodeOptions: ["--conditions=@agentlip/source"] }),
      "node --conditions=@agentlip/source /repo/hub/bin/agentlip.js"
    )
  })

  it.live(
    "`plugin new` prints a line that runs as it is",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        // As a user's shell: the Node that is meant, and nothing of what started these tests.
        const env = { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, HOME: workspace }
        const args = [path.join(root, hubMain)]
        const made = execFileSync(process.execPath, [...args, "plugin", "new", "tickets"], {
          cwd: workspace,
          env,
          encoding: "utf8"
        })
        const hint = /^Try it: +(.+)$/m.exec(made)?.[1] ?? ""
        assert.notMatch(hint, /^agentlip/)
        const ran = execFileSync("/bin/sh", ["-c", hint], { cwd: workspace, env, encoding: "utf8" })
        assert.include(ran, "1 enrichment; loaded in")
        assert.isTrue(fs.existsSync(path.join(workspace, "plugins/tickets.ts")))
      }),
    60_000
  )

  it.live(
    "hints of how to start a hub name the command as it was called",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const env = { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, HOME: workspace }
        const script = path.join(root, hubMain)
        const hintOf = (...args: ReadonlyArray<string>) =>
          spawnSync(process.execPath, [script, ...args], { cwd: workspace, env, encoding: "utf8" }).stderr
        const up = `node ${script} up -w ${workspace}`
        assert.include(hintOf("status"), `Start this workspace's hub: ${up}`)
        assert.include(hintOf("msg", "list", "--channel", "x", "--offline"), `creates it: ${up}`)
      }),
    60_000
  )
})
