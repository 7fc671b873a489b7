import { extractor, linkifier, LoadError, makeSpec } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as LoadReport from "../src/plugins/LoadReport.ts"

const loaded = Result.succeed({ name: "it", version: "1.0.0" })
const refused = (reason: string) =>
  Result.fail(new LoadError({ plugin: "p", modulePath: "/srv/p.ts", reason }))

describe("the load report", () => {
  it("says of each plugin what it runs in, and what it may", () => {
    const spec = { kind: linkifier, modulePath: "/srv/p.ts", isolation: "process" } as const
    const grants = { read: ["/srv/words"], net: ["example.com:443", "*.example.org"] }
    const lines = LoadReport.render(
      [
        { spec: makeSpec({ ...spec, name: "plain" }), result: loaded },
        { spec: makeSpec({ ...spec, name: "granted", grants, sandbox: "auto" }), result: loaded },
        { spec: makeSpec({ ...spec, name: "tried", enforcement: "audit" }), result: loaded },
        { spec: makeSpec({ ...spec, name: "thread", isolation: "thread", kind: extractor }), result: loaded },
        { spec: makeSpec({ ...spec, name: "p" }), result: refused("there is no such file") }
      ],
      ["old"]
    )
    assert.deepStrictEqual(lines, [
      "  ok      linkifier plain (it 1.0.0): process, no sandbox, no grants",
      "  ok      linkifier granted (it 1.0.0): process, sandbox auto, grants: read /srv/words; net example.com:443 *.example.org",
      "  ok      linkifier tried (it 1.0.0): process, no sandbox, AUDIT: what is not granted is let through and reported, no grants",
      "  ok      extractor thread (it 1.0.0): thread, no grants",
      '  failed  linkifier p: LOAD_ERROR: Plugin "p" could not be loaded from /srv/p.ts: there is no such file',
      "  off     old (enabled: false)"
    ])
  })

  it("says what to do where a level cannot run", () => {
    const spec = makeSpec({
      name: "p",
      kind: linkifier,
      modulePath: "/srv/p.ts",
      isolation: "process"
    })
    const problem = 'isolation "process" needs Node, and no `node` is on the PATH'
    const lines = LoadReport.render([{ spec, result: refused(problem) }], [])
    assert.include(lines[0], problem)
    assert.include(lines.slice(1).join("\n"), "--node FILE")
  })
})
