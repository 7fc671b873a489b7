/** A plugin's file changes while runs are sent ahead: each run uses one version, and no later run uses the old one. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { serve } from "../support/net.ts"
import { dataOf, temporary, write } from "../support/plugins.ts"

/** Two modules that belong together; says its version when it begins and when it ends. */
const entry = (version: number) => `
  import { version } from "./version.mjs"
  const own = ${version}
  export default {
    name: "changing", version: "1.0.0",
    async enrich({ message, config }, { log, fetch }) {
      log.info("begin " + version)
      const response = await fetch(config.gate)
      await response.text()
      log.info("end " + version)
      return [{ kind: "answer", span: { start: 0, end: 1 }, data: { own, version } }]
    }
  }`

/** As an editor or a deployment does it: at no moment is there half a file. */
const replace = (file: string, text: string): void => {
  fs.writeFileSync(`${file}.new`, text)
  fs.chmodSync(`${file}.new`, 0o644)
  fs.renameSync(`${file}.new`, file)
}

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`A plugin whose files change on ${level.name}`, () => {
    it.live("runs the old version, then only the new one", () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const modulePath = write(path.join(folder, "changing.mjs"), entry(1))
        write(path.join(folder, "version.mjs"), "export const version = 1")
        let asked = 0
        const { origin, port } = yield* serve((_, response) => {
          // Once runs are handed over ahead, and one of them is under way.
          if (++asked === 40) {
            replace(path.join(folder, "version.mjs"), "export const version = 2")
            replace(modulePath, entry(2))
          }
          // So that the host has turns of its own between runs.
          setTimeout(() => response.end("go on"), 3)
        })
        const runtime = yield* PluginRuntime
        const spec = specOn(level, {
          name: "changing",
          kind: linkifier,
          modulePath,
          timeout: "15 seconds",
          config: { gate: origin },
          grants: { net: [`127.0.0.1:${port}`] }
        })
        const said: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          said.push(Array.isArray(message) ? message.join(" ") : String(message))
        })
        const run = Effect.provide(runtime.run(spec, { message }), Logger.layer([logger]))
        yield* run
        const seen = yield* Deferred.make<void>()
        const answers: Array<unknown> = []
        // Each caller asks again until the new version is there.
        const caller = Effect.gen(function* () {
          for (;;) {
            const data = dataOf(yield* run)
            assert.strictEqual(data["own"], data["version"], "no run is of both")
            answers.push(data["version"])
            if (data["version"] === 2) yield* Deferred.succeed(seen, undefined)
            if (yield* Deferred.isDone(seen)) return
          }
        })
        const callers = yield* Effect.forEach(Array.from({ length: 80 }), () => Effect.forkChild(caller))
        yield* Deferred.await(seen)
        yield* Fiber.joinAll(callers)
        const first = answers.indexOf(2)
        assert.isAtLeast(first, 30)
        assert.deepStrictEqual(
          answers.slice(first),
          answers.slice(first).map(() => 2)
        )
        assert.deepStrictEqual(
          said,
          [1, ...answers].flatMap((version) => [`begin ${version}`, `end ${version}`])
        )
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
