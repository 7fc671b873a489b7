/** The public API of the library, the protocol and the client is the committed one. */
import { assert, describe, it } from "vitest"
import { committed, packages, reportOf } from "../scripts/api.ts"

describe("The public API", () => {
  for (const each of packages) {
    it(`is as ${each.report} has it; if a change is meant: npm run generate:api, and a line in CHANGELOG.md`, () => {
      assert.strictEqual(reportOf(each), committed(each))
    })
  }

  it("is reported with its types", () => {
    const [library = ""] = packages.map(committed)
    assert.match(library, /^## @agentlip\/plugin-runtime\/plugin$/m)
    assert.match(library, /^# PluginRuntime\n/m)
    assert.match(library, /readonly tryRun: <Spec extends PluginSpec>/)
    assert.notMatch(library, /from ""/, "every name leads to its declaration")
  })
})
