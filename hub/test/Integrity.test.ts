/** `agentlip plugin integrity` as a process of its own, and its value in a hub's config. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { agentlip, shows } from "./hubProcess.ts"
import { tempWorkspace } from "./testHub.ts"

const makePlugin = Effect.map(tempWorkspace, (workspace) => {
  const file = path.join(workspace, "plugin.ts")
  fs.writeFileSync(file, 'import "./helper.ts"\nexport default { name: "p", version: "1", enrich: () => [] }')
  fs.writeFileSync(path.join(workspace, "helper.ts"), "")
  return { workspace, file }
})

describe("agentlip plugin integrity", () => {
  it.live(
    "prints a line for each file, which a hub's config takes and which fits no other module",
    () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* makePlugin
        const helper = path.join(workspace, "helper.ts")
        const printing = yield* agentlip("plugin", "integrity", file, helper)
        assert.strictEqual(yield* Effect.promise(() => printing.ended), 0)
        const lines = printing.output().split("\n")
        assert.match(lines[0] ?? "", /^sha256-[A-Za-z0-9+/]{43}= {2}\/.*plugin\.ts$/)
        assert.match(lines[1] ?? "", /^sha256-[A-Za-z0-9+/]{43}= {2}\/.*helper\.ts$/)
        assert.deepStrictEqual(lines.slice(2), [""])

        const integrity = lines[0]?.split(" ")[0] ?? ""
        fs.writeFileSync(
          path.join(workspace, "agentlip.config.ts"),
          `export default { linkifiers: [{ name: "p", modulePath: "./plugin.ts", integrity: "${integrity}" }] }`
        )
        const hub = yield* agentlip("up", "--workspace", workspace)
        yield* shows(hub, "linkifier p")
        assert.match(hub.output(), /ok +linkifier p \(p 1\)/)
        hub.process.kill("SIGTERM")
        yield* Effect.promise(() => hub.ended)

        fs.writeFileSync(helper, "globalThis.changed = true")
        const changed = yield* agentlip("up", "--workspace", workspace)
        yield* shows(changed, "linkifier p")
        assert.match(
          changed.output(),
          /failed +linkifier p: LOAD_ERROR: [^]*expected sha256-[^]*found sha256-/
        )
        assert.include(changed.output(), integrity)
        assert.include(changed.output(), "agentlip plugin integrity")
      }),
    60_000
  )

  it.live(
    "hashes what it can and says what is wrong with the rest, with exit code 1 and without a stack",
    () =>
      Effect.gen(function* () {
        const { workspace, file } = yield* makePlugin
        const missing = path.join(workspace, "gone.ts")
        const printing = yield* agentlip("plugin", "integrity", missing, file, workspace)
        assert.strictEqual(yield* Effect.promise(() => printing.ended), 1)
        assert.match(printing.output(), /^sha256-[^ ]+ {2}\/.*plugin\.ts$/m)
        assert.include(printing.output(), `${missing}: there is no such file`)
        assert.include(printing.output(), `${workspace}: Cannot load`)
        assert.notMatch(printing.output(), /\n +at /)

        const none = yield* agentlip("plugin", "integrity")
        assert.strictEqual(yield* Effect.promise(() => none.ended), 1)
        assert.include(none.output(), "FILE")
      }),
    60_000
  )
})
