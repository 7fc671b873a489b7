import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { startTurn } from "../../src/isolates/levels/startTurn.ts"

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
  it.live("that are due at once happen one in each turn of the event loop, in their order", () =>
    Effect.gen(function* () {
      const loop = yield* turns
      const starts: Array<readonly [number: number, turn: number]> = []
      const start = (number: number) =>
        Effect.andThen(
          startTurn,
          Effect.sync(() => starts.push([number, loop.turn]))
        )
      const all = yield* Effect.forEach([0, 1, 2, 3, 4], (number) => Effect.forkChild(start(number)))
      // One that is no longer wanted takes no turn.
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
})
