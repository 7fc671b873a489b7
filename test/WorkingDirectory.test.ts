/** Guests boot wherever their host was started: nothing they need is read by leave of the working directory. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const host = fileURLToPath(new URL("./fixtures/library/bunHost.ts", import.meta.url))

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
