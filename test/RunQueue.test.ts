/** The queue of one plugin's runs: no place is lost, no place is given twice, whoever gives up and whenever. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Fiber, Schema } from "effect"
import { Place, RunQueue } from "../src/RunQueue.ts"

/** As `Runtime` holds a place: given back however what is done with it ends. */
const holding = <A>(queue: RunQueue, inside: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const place = new Place()
    return Effect.onExit(Effect.andThen(queue.take(place), inside), () =>
      Effect.sync(() => queue.release(place))
    )
  })

/** How many places are free, found out by taking them. */
const freePlaces = (queue: RunQueue, most: number): number => {
  const places = Array.from({ length: most + 1 }, () => new Place())
  const taken = places.filter((place) => queue.tryTake(place))
  for (const place of taken) queue.release(place)
  return taken.length
}

describe("RunQueue", () => {
  it.effect("first come, first served", () =>
    Effect.gen(function* () {
      const queue = new RunQueue(1)
      const gate = yield* Deferred.make<void>()
      const served: Array<number> = []
      const first = yield* Effect.forkChild(holding(queue, Deferred.await(gate)), { startImmediately: true })
      const others = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
        Effect.forkChild(
          holding(
            queue,
            Effect.sync(() => served.push(n))
          ),
          { startImmediately: true }
        )
      )
      assert.strictEqual(queue.waiting, 5)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      yield* Fiber.joinAll(others)
      assert.deepStrictEqual(served, [1, 2, 3, 4, 5])
      assert.strictEqual(freePlaces(queue, 1), 1)
    })
  )

  it.effect("whoever is interrupted in the moment of its turn hands the place on", () =>
    Effect.gen(function* () {
      const queue = new RunQueue(1)
      const held = new Place()
      assert.isTrue(queue.tryTake(held))
      const second = yield* Effect.forkChild(holding(queue, Effect.never), { startImmediately: true })
      const third = yield* Effect.forkChild(holding(queue, Effect.succeed("served")), {
        startImmediately: true
      })
      // The second has its place, and no turn of its fiber in which to use it.
      queue.release(held)
      second.interruptUnsafe()
      assert.strictEqual(yield* Fiber.join(third), "served")
      assert.strictEqual(freePlaces(queue, 1), 1)
    })
  )

  it("a place is given back once, however often that is said", () => {
    const queue = new RunQueue(2)
    const place = new Place()
    queue.release(place)
    assert.isTrue(queue.tryTake(place))
    queue.release(place)
    queue.release(place)
    assert.strictEqual(freePlaces(queue, 2), 2)
  })

  const Step = Schema.Struct({
    op: Schema.Literals(["start", "start", "start", "finish", "interrupt", "settle"]),
    which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
  })

  it.effect.prop(
    "never more inside than places, nobody waits beside a free one, and all come back",
    {
      places: Schema.Literals([1, 2, 3]),
      steps: Arbitrary.array(Arbitrary.schema(Step), { maxLength: 60 })
    },
    ({ places, steps }) =>
      Effect.gen(function* () {
        const queue = new RunQueue(places)
        const runs: Array<{ gate: Deferred.Deferred<void>; fiber: Fiber.Fiber<void> }> = []
        let inside = 0
        const settle = Effect.forEach([1, 2, 3], () => Effect.yieldNow)
        for (const { op, which } of steps) {
          const run = runs[which % Math.max(1, runs.length)]
          if (op === "start") {
            const gate = yield* Deferred.make<void>()
            const body = Effect.acquireUseRelease(
              Effect.sync(() => inside++),
              () => Deferred.await(gate),
              () => Effect.sync(() => inside--)
            )
            runs.push({
              gate,
              fiber: yield* Effect.forkChild(holding(queue, body), { startImmediately: true })
            })
          } else if (op === "finish" && run !== undefined) yield* Deferred.succeed(run.gate, undefined)
          // Without waiting for it: the next step finds it half-way.
          else if (op === "interrupt") run?.fiber.interruptUnsafe()
          else if (op === "settle") {
            yield* settle
            if (queue.waiting > 0) assert.strictEqual(inside, places)
          }
          assert.isAtMost(inside, places)
        }
        for (const { gate } of runs) yield* Deferred.succeed(gate, undefined)
        for (const { fiber } of runs) yield* Fiber.await(fiber)
        assert.strictEqual(queue.waiting, 0)
        assert.strictEqual(freePlaces(queue, places), places)
      }),
    { arbitrary: { runs: 300 } }
  )
})
