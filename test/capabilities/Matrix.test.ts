/** The table of what each level enforces, and the docs that are made from it. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fs from "node:fs"
import {
  checkEnforced,
  enforces,
  type Host,
  levelNames,
  matrix,
  platforms
} from "../../src/capabilities/matrix.ts"
import { document } from "../../scripts/matrix.ts"

const subjects = Object.keys(matrix) as ReadonlyArray<keyof typeof matrix>
const hosts: ReadonlyArray<Host> = platforms.flatMap((platform) =>
  (["node", "oldNode", "bun"] as const).map((runtime) => ({ platform, runtime }))
)

describe("the matrix", () => {
  it("is what docs/capabilities.md says; `npm run docs:matrix` writes it", () => {
    assert.strictEqual(
      fs.readFileSync(new URL("../../docs/capabilities.md", import.meta.url), "utf8"),
      document
    )
  })

  it("has a refusal for exactly what is not enforced, with levels that do enforce it", () => {
    for (const host of hosts) {
      for (const subject of subjects) {
        for (const level of levelNames) {
          const checked = checkEnforced(level, subject, host)
          assert.strictEqual(Result.isSuccess(checked), enforces(level, subject, host))
          if (Result.isSuccess(checked)) continue
          const { message, remedy = "" } = checked.failure
          const named = levelNames.filter((other) => remedy.includes(`"${other}"`))
          assert.deepStrictEqual(
            named,
            levelNames.filter((other) => enforces(other, subject, host)),
            message
          )
        }
      }
    }
  })

  it.each(["grants.read", "grants.write", "grants.net", "grants.env", "integrity"] as const)(
    "promises nothing of a thread that has no permissions of its own: %s",
    (subject) => {
      for (const runtime of ["oldNode", "bun"] as const) {
        assert.isFalse(enforces("thread", subject, { platform: "linux", runtime }))
        assert.isTrue(enforces("process", subject, { platform: "linux", runtime }))
      }
    }
  )

  it("has no processes where there are no process groups", () => {
    for (const subject of subjects) {
      assert.isFalse(enforces("process", subject, { platform: "other", runtime: "node" }), subject)
    }
  })

  it("gives files to every level but the one that has none", () => {
    const able = levelNames.filter((level) =>
      enforces(level, "grants.read", { platform: "linux", runtime: "node" })
    )
    assert.deepStrictEqual(able, ["thread", "process"])
  })
})
