/**
 * Bun has no per-thread permissions: the thread level refuses it, unless the hub's author trusts the plugins. The
 * process level starts a Node for them, WebAssembly runs as it is.
 * Needs a Bun: `AGENTLIP_TEST_BUN` names one, or there is one on the PATH.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { toInstall } from "../src/capabilities/engines.ts"

const bun = process.env["AGENTLIP_TEST_BUN"] ?? "bun"
const version = spawnSync(bun, ["--version"], { encoding: "utf8" }).stdout?.trim()
const execute = promisify(execFile)

const run = async (
  how: "trusted" | "untrusted" | "process" | "wasm",
  plugin: string,
  env = process.env
): Promise<Record<string, unknown>> => {
  const host = fileURLToPath(new URL("./fixtures/library/bunHost.ts", import.meta.url))
  const { stdout } = await execute(bun, ["--conditions=@agentlip/source", host, how, plugin], { env })
  return JSON.parse(stdout)
}

const where = version === undefined ? "no bun here: set AGENTLIP_TEST_BUN" : `Bun ${version}`

describe.skipIf(version === undefined)(`Bun (${where})`, () => {
  it("is refused, and told what to do", async () => {
    assert.deepStrictEqual(await run("untrusted", "words"), {
      code: "UnsupportedRuntime",
      message: `No plugin can run here (Bun ${version}): isolation "thread" confines nothing on Bun ${version}; run the hub on ${toInstall()}, use isolation "process", or set \`trusted: true\` if you wrote all plugins yourself.`
    })
  })

  it("runs a trusted TypeScript plugin", async () => {
    assert.deepStrictEqual(await run("trusted", "words"), {
      output: [{ kind: "word", span: { start: 0, end: 5 }, data: { word: "hello" } }]
    })
  })

  const failures = [
    ["spins", "TIMEOUT"],
    ["throws", "EXECUTION_ERROR"],
    ["leaves", "WORKER_CRASH"],
    ["lies", "INVALID_OUTPUT"],
    ["missing", "LOAD_ERROR"]
  ] as const
  it.each(failures)("a trusted plugin that %s is a typed error all the same: %s", async (plugin, code) => {
    assert.strictEqual((await run("trusted", plugin))["code"], code)
  })

  it("says what a process takes where there is no Node", async () => {
    const { code, message } = await run("process", "words", { PATH: "" })
    assert.strictEqual(code, "LOAD_ERROR")
    assert.include(String(message), `needs Node, and no \`node\` is on the PATH; install ${toInstall()}`)
  })

  describe.each(["process", "wasm"] as const)("on level %s", (level) => {
    it("runs a plugin", async () => {
      assert.deepStrictEqual(await run(level, "words"), {
        output: [{ kind: "word", span: { start: 0, end: 5 }, data: { word: "hello" } }]
      })
    })

    it.each(failures)("a plugin that %s is a typed error: %s", async (plugin, code) => {
      assert.strictEqual((await run(level, plugin))["code"], code)
    })
  })
})
