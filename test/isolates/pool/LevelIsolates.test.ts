/** The isolates of a level, with a factory that only counts the boots. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import type { IsolateFactory } from "../../../src/isolates/levels/IsolateFactory.ts"
import { noPermissions } from "../../../src/isolates/levels/IsolateFactory.ts"
import { Cores } from "../../../src/isolates/pool/Cores.ts"
import { startTurn } from "../../../src/isolates/levels/startTurn.ts"
import { makeLevelIsolates } from "../../../src/isolates/pool/LevelIsolates.ts"

const make = Effect.gen(function* () {
  const scope = yield* Scope.make()
  let starts = 0
  const factory: IsolateFactory = {
    name: "thread",
    standardBootOptions: noPermissions,
    bootOptionsFor: () => Effect.succeed(noPermissions),
    boot: () =>
      Effect.suspend(() => {
        starts++
        return Effect.fail({ reason: "this factory only counts" })
      })
  }
  const isolates = yield* makeLevelIsolates(
    { spares: 0, maxSpares: 0, idleTimeToLive: Duration.minutes(1) },
    factory,
    { booted: () => {} },
    new Cores()
  ).pipe(Scope.provide(scope))
  return {
    starts: () => starts,
    boot: isolates.sparesOf(noPermissions, "never").take,
    counts: () => isolates.counts,
    close: Scope.close(scope, Exit.void)
  }
})

describe("The isolates of a level", () => {
  it.live("do not start after the level has closed, even if boots wait for their turn", () =>
    Effect.gen(function* () {
      const level = yield* make
      const boots = yield* Effect.replicateEffect(
        Effect.forkChild(level.boot, { startImmediately: true }),
        50
      )
      const before = level.starts()
      assert.isAtMost(before, 1)
      yield* level.close
      const exits = yield* Effect.forEach(boots, (boot) => Fiber.await(boot))
      assert.isTrue(exits.every(Exit.isFailure))
      assert.strictEqual(level.starts(), before)
      assert.strictEqual(level.counts().booting, 0)
    })
  )

  it.live("do not start for a caller that is interrupted while its boot waits for its turn", () =>
    Effect.gen(function* () {
      const level = yield* make
      // Takes the current turn.
      yield* startTurn
      const boot = yield* Effect.forkChild(level.boot, { startImmediately: true })
      assert.strictEqual(level.counts().booting, 1)
      yield* Fiber.interrupt(boot)
      assert.strictEqual(level.counts().booting, 0)
      // Turns come in order, so the boot's turn is over.
      yield* startTurn
      assert.strictEqual(level.starts(), 0)
      yield* level.close
    })
  )
})
