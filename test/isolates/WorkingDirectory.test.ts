/** Guests boot in whatever working directory their host has: reading their own files needs no permission for it. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll } from "vitest"

const host = fileURLToPath(new URL("../fixtures/library/bunHost.ts", import.meta.url))

describe.each(["/", os.tmpdir()])("a host started in %s", (cwd) => {
  it.each(["thread", "process", "wasm"])("runs a plugin on level %s", async (level) => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=@agentlip/source", host, level, "words"],
      { cwd }
    )
    assert.deepStrictEqual(JSON.parse(stdout), {
      output: [{ kind: "word", span: { start: 0, end: 5 }, data: { word: "hello" } }]
    })
  })
})

describe("a library that is installed below a folder with an asterisk", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-star*"))
  const here = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))
  for (const part of ["src", "dist/guest", "test/fixtures/library"]) {
    fs.cpSync(here(part), path.join(root, part), { recursive: true })
  }
  fs.copyFileSync(here("package.json"), path.join(root, "package.json"))
  fs.symlinkSync(here("node_modules"), path.join(root, "node_modules"))
  afterAll(() => fs.rmSync(root, { recursive: true }))

  it.each(["thread", "process", "wasm"])(
    "refuses plugins, because it could not confine them: %s",
    async (level) => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        "--conditions=@agentlip/source",
        path.join(root, "test/fixtures/library/bunHost.ts"),
        level,
        "words"
      ])
      const { code, message } = JSON.parse(stdout)
      assert.strictEqual(code, "UnsupportedRuntime")
      assert.include(message, "installed at a path with an asterisk")
      assert.include(message, "rename the folder")
    }
  )
})
