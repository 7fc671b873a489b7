/** Boots in the background wait for a free core. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Cores } from "../../../src/isolates/pool/Cores.ts"

const first = {}
const second = {}

describe("Cores", () => {
  it.live("a boot waits while each core has a user", () =>
    Effect.gen(function* () {
      const cores = new Cores(2, Number.POSITIVE_INFINITY)
      cores.enter(first)
      yield* cores.free
      cores.enter(second)
      const boot = yield* Effect.forkChild(cores.free, { startImmediately: true })
      assert.isUndefined(boot.pollUnsafe())
      cores.leave(first)
      cores.leave(first)
      yield* Fiber.join(boot)
      cores.enter(first)
      const next = yield* Effect.forkChild(cores.free, { startImmediately: true })
      assert.isUndefined(next.pollUnsafe())
      yield* Fiber.interrupt(next)
    })
  )

  it.live("a boot does not wait forever", () =>
    Effect.gen(function* () {
      const cores = new Cores(1, 30)
      cores.enter(first)
      const boot = yield* Effect.forkChild(cores.free, { startImmediately: true })
      assert.isUndefined(boot.pollUnsafe())
      yield* Fiber.join(boot)
    })
  )
})
