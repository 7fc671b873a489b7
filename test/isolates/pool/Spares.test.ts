/** Spares without real isolates: the test decides when a boot succeeds or fails. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makeSpares, type SparesOptions } from "../../../src/isolates/pool/Spares.ts"

interface Fake {
  readonly id: number
  usable: boolean
}

const make = (
  least: number,
  demand?: Pick<SparesOptions<Fake, string>, "most" | "boots" | "quiet" | "room">
) =>
  Effect.gen(function* () {
    const boots: Array<Deferred.Deferred<Fake, string>> = []
    const ended: Array<number> = []
    const boot = Effect.suspend(() => {
      const booted = Deferred.makeUnsafe<Fake, string>()
      boots.push(booted)
      return Deferred.await(booted)
    })
    const end = ({ id }: Fake) => Effect.sync(() => ended.push(id))
    const spares = makeSpares({ least, boot, end, scope: yield* Effect.scope, ...demand })
    let done = 0
    return {
      ...spares,
      ended,
      /** The number of boots that have begun. */
      begun: () => boots.length,
      /** Lets the oldest boots succeed. */
      finish: (count: number) =>
        Effect.gen(function* () {
          const finished: Array<Fake> = []
          while (finished.length < count) {
            const boot = boots[done]
            assert.isDefined(boot, "a boot is under way")
            const fake = { id: done++, usable: true }
            finished.push(fake)
            yield* Deferred.succeed(boot, fake)
            yield* settled
          }
          return finished
        }),
      fail: (reason: string) =>
        Effect.gen(function* () {
          const boot = boots[done++]
          assert.isDefined(boot)
          yield* Deferred.fail(boot, reason)
          yield* settled
        })
    }
  })

/** A few turns of the event loop, after which the boots in the background have begun. */
const settled = Effect.promise(async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
})

const demand: Pick<SparesOptions<Fake, string>, "most" | "boots" | "quiet"> = {
  most: 4,
  boots: 1,
  quiet: Duration.seconds(10)
}

describe("Spares", () => {
  it.effect("boots as many as it keeps, and hands them out in order", () =>
    Effect.gen(function* () {
      const spares = yield* make(2)
      yield* Effect.andThen(spares.fill, settled)
      assert.strictEqual(spares.begun(), 2)
      yield* spares.finish(2)
      assert.deepStrictEqual([(yield* spares.take).id, (yield* spares.take).id], [0, 1])
      yield* Effect.andThen(spares.fill, settled)
      assert.strictEqual(spares.begun(), 4)
    }).pipe(Effect.scoped)
  )

  it.effect("boots at most `boots` at once", () =>
    Effect.gen(function* () {
      const spares = yield* make(3, demand)
      yield* Effect.andThen(spares.fill, spares.fill)
      yield* settled
      for (const begun of [1, 2, 3]) {
        assert.strictEqual(spares.begun(), begun)
        yield* spares.finish(1)
      }
      assert.strictEqual(spares.begun(), 3)
    }).pipe(Effect.scoped)
  )

  it.effect("does not begin a boot in the turn that requests it", () =>
    Effect.gen(function* () {
      const spares = yield* make(1)
      yield* spares.fill
      yield* Effect.yieldNow
      assert.strictEqual(spares.begun(), 0)
      yield* settled
      assert.strictEqual(spares.begun(), 1)
    }).pipe(Effect.scoped)
  )

  it.effect("waits for room before it boots; a caller does not wait for room", () =>
    Effect.gen(function* () {
      const room = Deferred.makeUnsafe<void>()
      const spares = yield* make(2, { ...demand, boots: 2, room: Deferred.await(room) })
      yield* Effect.andThen(spares.fill, settled)
      yield* Effect.andThen(spares.fill, settled)
      assert.strictEqual(spares.begun(), 0)
      const taker = yield* Effect.forkChild(spares.take, { startImmediately: true })
      assert.strictEqual(spares.begun(), 1)
      yield* spares.finish(1)
      assert.strictEqual((yield* Fiber.join(taker)).id, 0)
      yield* Deferred.succeed(room, undefined)
      yield* settled
      assert.strictEqual(spares.begun(), 3)
      yield* spares.finish(2)
      assert.deepStrictEqual([(yield* spares.take).id, (yield* spares.take).id], [1, 2])
    }).pipe(Effect.scoped)
  )

  it.effect("keeps more if callers find none, up to `most`, and fewer after a quiet time", () =>
    Effect.gen(function* () {
      const spares = yield* make(1, demand)
      yield* Effect.andThen(spares.fill, settled)
      yield* spares.finish(1)
      yield* spares.take
      assert.strictEqual(spares.wanted(), 1)
      for (const wanted of [2, 3, 4, 4]) {
        const taker = yield* Effect.forkChild(spares.take, { startImmediately: true })
        assert.strictEqual(spares.wanted(), wanted)
        yield* spares.finish(1)
        yield* Fiber.join(taker)
      }
      yield* Effect.andThen(spares.fill, settled)
      yield* spares.finish(4)
      assert.strictEqual(spares.begun(), 9)

      yield* TestClock.adjust("9 seconds")
      yield* spares.sweep
      assert.deepStrictEqual(spares.ended, [])
      yield* spares.take
      yield* TestClock.adjust("2 seconds")
      yield* spares.sweep
      assert.strictEqual(spares.wanted(), 3)
      yield* TestClock.adjust("8 seconds")
      yield* spares.sweep
      assert.strictEqual(spares.wanted(), 1)
      assert.deepStrictEqual(spares.ended, [7, 8])
      assert.strictEqual((yield* spares.take).id, 6)
    }).pipe(Effect.scoped)
  )

  it.effect("keeps none after a quiet time if `least` is 0", () =>
    Effect.gen(function* () {
      const spares = yield* make(0, demand)
      yield* Effect.andThen(spares.fill, settled)
      assert.strictEqual(spares.begun(), 0)
      const first = yield* Effect.forkChild(spares.take, { startImmediately: true })
      yield* spares.finish(1)
      yield* Fiber.join(first)
      yield* Effect.andThen(spares.fill, settled)
      yield* spares.finish(1)
      yield* TestClock.adjust("10 seconds")
      yield* spares.sweep
      assert.deepStrictEqual(spares.ended, [1])
      yield* Effect.andThen(spares.fill, settled)
      assert.strictEqual(spares.begun(), 2)
    }).pipe(Effect.scoped)
  )

  it.effect("a caller that finds none waits for the boot under way", () =>
    Effect.gen(function* () {
      const spares = yield* make(1, demand)
      yield* Effect.andThen(spares.fill, settled)
      const first = yield* Effect.forkChild(spares.take, { startImmediately: true })
      assert.strictEqual(spares.begun(), 1)
      // No boot is left for the next caller, so it starts one.
      const second = yield* Effect.forkChild(spares.take, { startImmediately: true })
      assert.strictEqual(spares.begun(), 2)
      yield* spares.finish(1)
      assert.strictEqual((yield* Fiber.join(first)).id, 0)
      yield* Fiber.interrupt(second)
    }).pipe(Effect.scoped)
  )

  it.effect("a caller whose awaited boot fails boots its own, and gets the error of that one", () =>
    Effect.gen(function* () {
      const spares = yield* make(1, demand)
      yield* Effect.andThen(spares.fill, settled)
      const taker = yield* Effect.forkChild(Effect.flip(spares.take), { startImmediately: true })
      yield* spares.fail("no room")
      assert.strictEqual(spares.begun(), 2)
      yield* spares.fail("still no room")
      assert.strictEqual(yield* Fiber.join(taker), "still no room")
    }).pipe(Effect.scoped)
  )

  it.effect("an interrupted caller takes no spare", () =>
    Effect.gen(function* () {
      const spares = yield* make(1, demand)
      yield* Effect.andThen(spares.fill, settled)
      const taker = yield* Effect.forkChild(spares.take, { startImmediately: true })
      yield* Fiber.interrupt(taker)
      yield* spares.finish(1)
      assert.strictEqual((yield* spares.take).id, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("ends a spare that has died, and hands out the next", () =>
    Effect.gen(function* () {
      const spares = yield* make(2)
      yield* Effect.andThen(spares.fill, settled)
      const [first] = yield* spares.finish(2)
      assert.isDefined(first)
      first.usable = false
      assert.strictEqual((yield* spares.take).id, 1)
      assert.deepStrictEqual(spares.ended, [0])
    }).pipe(Effect.scoped)
  )
})
