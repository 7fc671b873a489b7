import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { WakeUp } from "../src/core/WakeUp.ts"

describe("WakeUp", () => {
  it.effect("keeps a wake-up until it is asked for, and several count as one", () =>
    Effect.gen(function* () {
      const work = new WakeUp()
      work.ring()
      work.ring()
      yield* work.next
      const waiting = yield* Effect.forkChild(work.next, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      work.ring()
      yield* Fiber.join(waiting)
    })
  )

  it.effect("misses no work that comes while the loop works", () =>
    Effect.gen(function* () {
      const work = new WakeUp()
      const queue: Array<number> = []
      const done: Array<number> = []
      const add = (item: number): void => {
        queue.push(item)
        work.ring()
      }
      const loop = Effect.gen(function* () {
        yield* work.next
        const items = queue.splice(0)
        // Comes after the look at the queue, before the loop waits again.
        if (items.includes(1)) add(2)
        yield* Effect.yieldNow
        done.push(...items)
      })
      const fiber = yield* Effect.forkChild(Effect.repeat(loop, { until: () => done.length === 2 }))
      add(1)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(done, [1, 2])
    })
  )

  it.effect("keeps a wake-up for the next who waits if the first is interrupted", () =>
    Effect.gen(function* () {
      const work = new WakeUp()
      const first = yield* Effect.forkChild(work.next, { startImmediately: true })
      yield* Fiber.interrupt(first)
      work.ring()
      yield* work.next
    })
  )
})
