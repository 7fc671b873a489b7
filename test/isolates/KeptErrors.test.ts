/** An error that is kept, as the hub does, must not keep the run, its caller or its isolate in memory. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as path from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { temporary, write } from "../support/plugins.ts"

const source = `
  export default {
    name: "fails",
    version: "1.0.0",
    enrich({ message }) {
      switch (message.content_raw) {
        case "throw": throw new Error("no")
        case "invalid": return 1
        case "loop": for (;;) {}
        case "exit": setTimeout(() => { throw new Error("out of the method") }); return new Promise(() => {})
      }
    }
  }`

const collectGarbage = ((): (() => void) => {
  setFlagsFromString("--expose-gc")
  const gc: unknown = runInNewContext("gc")
  return () => typeof gc === "function" && gc()
})()

/** A few turns of the event loop, because some references end later, with a collection after each. */
const collected = Effect.promise(async () => {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resume) => setImmediate(resume))
    collectGarbage()
  }
})

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`A kept error, on level ${level.isolation}`, () => {
    it.live("does not keep the caller of its run in memory", () =>
      Effect.gen(function* () {
        const callers: Array<readonly [what: string, WeakRef<object>]> = []
        const modulePath = write(path.join(yield* temporary, "fails.mjs"), source)
        const spec = specOn(level, { name: "fails", kind: linkifier, modulePath, timeout: "2 seconds" })
        const errorOf = (content_raw: string) =>
          Effect.withFiber((caller) => {
            callers.push([content_raw, new WeakRef(caller)])
            return Effect.flatMap(PluginRuntime, (runtime) =>
              Effect.flip(runtime.run(spec, { message: { ...message, content_raw } }))
            )
          })
        const kept = yield* Effect.forEach(["throw", "invalid", "loop", "exit"], (content) =>
          Effect.flatMap(Effect.forkChild(errorOf(content)), (fiber) => Fiber.join(fiber))
        ).pipe(Effect.provide(layerRuntime()))
        yield* collected
        // Only once, because an object that `deref` returns is kept until the job ends.
        const left = callers.filter(([, caller]) => caller.deref() !== undefined)
        assert.deepStrictEqual(
          left.map(([what]) => what),
          []
        )
        assert.lengthOf(kept, 4)
      }).pipe(Effect.scoped)
    )
  })
}
