import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { exitCodes } from "../src/cli/CommandError.ts"
import { commandsOf } from "./cli.ts"
import { root } from "./hubProcess.ts"
import { tempWorkspace } from "./testHub.ts"

describe("exit codes", () => {
  it("are those that docs/cli.md lists", () => {
    const text = fs.readFileSync(path.join(root, "docs", "cli.md"), "utf8")
    const documented = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    assert.deepStrictEqual(documented, [0, ...Object.values(exitCodes), 130])
  })

  it.live("a port that does not exist is refused in one line", () =>
    Effect.gen(function* () {
      const { code, err } = yield* commandsOf(yield* tempWorkspace)("up", "--port", "99999")
      assert.strictEqual(code, 1)
      assert.match(err, /^agentlip: The port must be a whole number from 0 to 65535, not 99999\.?\n$/)
    })
  )
})
