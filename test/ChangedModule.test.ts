/** A plugin's files change while its runs are handed over ahead: each run is of the old code or of the new, wholly. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { linkifier } from "../src/Plugin.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "./support/isolation.ts"
import { dataOf, temporary, write } from "./support/plugins.ts"

const callers = 64

/** Says of which version it is, before and after it waits. */
const source = (version: number) => `
  const here = ${version}
  const sleep = () => new Promise((resolve) => setTimeout(resolve, 2))
  export default {
    name: "changing",
    version: "${version}.0.0",
    async enrich() {
      const version = here
      await sleep()
      const data = { version, end: ${version} }
      return [{ kind: "a", span: { start: 0, end: 1 }, data }]
    }
  }`

/** Whoever reads it finds the one or the other. */
const replace = (file: string, text: string): void => {
  fs.writeFileSync(`${file}.next`, text)
  fs.renameSync(`${file}.next`, file)
}

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`A module that changes on ${level.name}`, () => {
    it.live("is taken up under load; each run is of one version, the last ones of the new", () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const modulePath = write(path.join(folder, "changing.mjs"), source(1))
        const spec = specOn(level, { name: "changing", kind: linkifier, modulePath, timeout: "20 seconds" })
        const runtime = yield* PluginRuntime
        const answers: Array<Record<string, unknown>> = []
        const run = Effect.map(runtime.run(spec, { message }), (output) => {
          answers.push(dataOf(output))
        })
        const seen = (version: number) => answers.some((data) => data["version"] === version)
        let stop = false
        // Each caller asks again at once: the isolate is never without work.
        const caller = Effect.repeat(run, { until: () => stop })
        const driver = Effect.gen(function* () {
          yield* Effect.repeat(Effect.sleep(5), { until: () => seen(1) })
          replace(modulePath, source(2))
          yield* Effect.repeat(Effect.sleep(5), { until: () => seen(2) })
          const enough = answers.length + 3 * callers
          yield* Effect.repeat(Effect.sleep(5), { until: () => answers.length >= enough })
        }).pipe(
          Effect.timeout("15 seconds"),
          Effect.ensuring(
            Effect.sync(() => {
              stop = true
            })
          )
        )
        yield* Effect.all([driver, Effect.replicateEffect(caller, callers, { concurrency: "unbounded" })], {
          concurrency: "unbounded"
        })
        for (const { version, end } of answers) assert.strictEqual(version, end, "of one version wholly")
        const versions = answers.map(({ version }) => version)
        const late = versions.slice(versions.indexOf(2)).filter((version) => version === 1)
        assert.isBelow(late.length, callers, "only what was handed over before the change was seen")
        assert.notInclude(versions.slice(-callers), 1)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
