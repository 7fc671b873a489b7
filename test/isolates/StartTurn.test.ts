/** Isolates start one in each turn of the event loop. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as path from "node:path"
import { startTurn } from "../../src/isolates/levels/startTurn.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { layerRuntime, message } from "../support/isolation.ts"
import { makeSpec } from "../../src/Plugin.ts"
import { temporary, write } from "../support/plugins.ts"

/** Counts the turns of the event loop until the scope closes. */
const turns = Effect.acquireRelease(
  Effect.sync(() => {
    const loop = { turn: 0, going: true }
    const count = (): void => {
      loop.turn++
      if (loop.going) setImmediate(count)
    }
    setImmediate(count)
    return loop
  }),
  (loop) => Effect.sync(() => (loop.going = false))
)

describe("The starts of isolates", () => {
  it.live("happen in order, one in each turn of the event loop", () =>
    Effect.gen(function* () {
      const loop = yield* turns
      const starts: Array<readonly [number: number, turn: number]> = []
      const start = (number: number) =>
        Effect.andThen(
          startTurn,
          Effect.sync(() => starts.push([number, loop.turn]))
        )
      const all = yield* Effect.forEach([0, 1, 2, 3, 4], (number) => Effect.forkChild(start(number)))
      // An interrupted start takes no turn.
      yield* Effect.yieldNow
      const third = all[3]
      if (third !== undefined) yield* Fiber.interrupt(third)
      yield* Effect.forEach([0, 1, 2, 4], (number) => {
        const fiber = all[number]
        return fiber === undefined ? Effect.void : Fiber.join(fiber)
      })
      yield* start(5)
      assert.includeMembers(
        starts.map(([number]) => number),
        [0, 1, 2, 4, 5]
      )
      assert.strictEqual(new Set(starts.map(([, turn]) => turn)).size, starts.length)
      assert.deepStrictEqual(starts, starts.toSorted())
    })
  )

  it.live("do not delay a caller that is interrupted while its run waits for one", () =>
    Effect.gen(function* () {
      const runtime = yield* PluginRuntime
      const { stats } = yield* WorkerLayer
      const source = `export default { name: "quiet", version: "1.0.0", enrich: () => [] }`
      const modulePath = write(path.join(yield* temporary, "quiet.mjs"), source)
      const spec = makeSpec({ name: "quiet", kind: linkifier, modulePath, isolation: "thread" })
      // A thousand fibers take turns forever, so the run waits long for its turn.
      yield* Effect.replicateEffect(
        Effect.forkChild(Effect.forever(startTurn), { startImmediately: true }),
        1_000
      )
      const run = yield* Effect.forkChild(runtime.run(spec, { message }))
      const booting = Effect.map(stats, ({ levels }) => levels.get("thread")?.booting)
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, booting), { until: (count) => count === 1 })
      const later = yield* Effect.forkChild(startTurn, { startImmediately: true })
      yield* Fiber.interrupt(run)
      assert.isUndefined(later.pollUnsafe(), "the interruption waited for the turn")
      assert.strictEqual(yield* booting, 0)
      yield* Fiber.join(later)
      assert.strictEqual((yield* stats).isolates, 0)
    }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
  )
})
