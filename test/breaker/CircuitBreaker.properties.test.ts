/** Random interleavings of many runs against a reference model, and against Effect's own breaker. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Context, Deferred, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { CircuitBreaker as EffectBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { CircuitOpen } from "../../src/Errors.ts"

const cooldown = 30_000

/** How a run ends; failures twice as often, or few circuits would open. */
const Ending = Schema.Literals(["succeed", "fail", "fail", "die", "interrupt"])
type Ending = typeof Ending.Type

/** Starts a run, ends the one at some place among those in flight, or lets time pass. */
const Shared = Schema.Union([
  Schema.Struct({ op: Schema.Literal("start") }),
  Schema.Struct({ op: Schema.Literal("start") }),
  Schema.Struct({ op: Ending, run: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 })) }),
  Schema.Struct({ op: Ending, run: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 })) }),
  Schema.Struct({
    op: Schema.Literal("advance"),
    millis: Schema.Literals([1, 9_999, 15_000, 29_999, 30_000])
  })
])
const Step = Schema.Union([Shared, Shared, Schema.Struct({ op: Schema.Literals(["trip", "reset"]) })])
type Step = typeof Step.Type

const script = <A>(step: Schema.Codec<A>) => Arbitrary.array(Arbitrary.schema(step), { maxLength: 80 })
const Threshold = Schema.Literals([1, 2, 3, 4])

/** The rules told in another way: a transition forgets every run in flight, so that their ends mean nothing. */
class Model {
  state: "Closed" | "Open" | "HalfOpen" = "Closed"
  failures = 0
  until = 0
  probe: number | undefined = undefined
  /** Runs whose end still means something. */
  readonly current = new Set<number>()
  readonly threshold: number
  constructor(threshold: number) {
    this.threshold = threshold
  }

  /** Answers whether the run may go. */
  start(run: number, now: number): boolean {
    if (this.state === "Open" && now >= this.until) this.state = "HalfOpen"
    if (this.state === "Open" || (this.state === "HalfOpen" && this.probe !== undefined)) return false
    this.current.add(run)
    if (this.state === "HalfOpen") this.probe = run
    return true
  }

  end(run: number, ending: Ending, now: number): void {
    if (!this.current.delete(run)) return
    const isProbe = this.probe === run
    if (isProbe) this.probe = undefined
    if (ending === "interrupt") return
    if (ending === "succeed") {
      this.failures = 0
      this.state = "Closed"
      return
    }
    this.failures++
    if (isProbe || this.failures >= this.threshold) this.trip(now)
  }

  trip(now: number): void {
    this.state = "Open"
    this.until = now + cooldown
    this.forget()
  }

  reset(): void {
    this.state = "Closed"
    this.failures = 0
    this.forget()
  }

  private forget(): void {
    this.probe = undefined
    this.current.clear()
  }
}

/** Any breaker, as a script drives it. */
interface Subject {
  readonly protect: (effect: Effect.Effect<void, "boom">) => Effect.Effect<void, unknown>
  readonly isRefusal: (error: unknown) => boolean
}

/** A run in flight. */
interface Run {
  readonly id: number
  readonly end: (ending: Ending) => Effect.Effect<void>
}

/** Starts a run in a fiber of its own; answers when it is in flight, or that it was refused. */
const startRun = (subject: Subject, id: number): Effect.Effect<Run | "refused"> =>
  Effect.gen(function* () {
    const end = yield* Deferred.make<void, "boom">()
    const begun = yield* Deferred.make<Run | "refused">()
    const fiber: Fiber.Fiber<void, unknown> = yield* Effect.forkChild(
      subject
        .protect(
          Effect.suspend(() =>
            Effect.andThen(Deferred.succeed(begun, { id, end: endings }), Deferred.await(end))
          )
        )
        .pipe(
          Effect.tapError((error) =>
            subject.isRefusal(error) ? Deferred.succeed(begun, "refused") : Effect.void
          )
        )
    )
    const endings = (ending: Ending): Effect.Effect<void> =>
      ({
        succeed: Deferred.succeed(end, undefined),
        fail: Deferred.fail(end, "boom"),
        die: Deferred.die(end, "defect"),
        interrupt: Fiber.interrupt(fiber)
      })[ending].pipe(Effect.andThen(Fiber.await(fiber)), Effect.asVoid)
    return yield* Deferred.await(begun)
  })

/** The run that a step means, taken out of those in flight. */
const take = (flying: Array<Run>, place: number): Run | undefined =>
  flying.splice(flying.length === 0 ? 0 : place % flying.length, 1)[0]

const ours = (threshold: number) =>
  Effect.gen(function* () {
    const services = yield* Layer.build(CircuitBreaker.layer({ failureThreshold: threshold, cooldown }))
    const breaker = Context.get(services, CircuitBreaker)
    return {
      breaker,
      protect: breaker.protect("p"),
      isRefusal: (error: unknown) => error instanceof CircuitOpen
    }
  })

const effects = (threshold: number) =>
  Effect.gen(function* () {
    const breaker = yield* EffectBreaker.make({
      tripPolicy: EffectBreaker.consecutive(threshold),
      openDuration: cooldown
    })
    return {
      protect: breaker.execute({ key: "p" }),
      isRefusal: (error: unknown) => error instanceof EffectBreaker.CircuitBreakerError,
      state: Effect.orDie(breaker.state("p"))
    }
  }).pipe(Effect.provide(EffectBreaker.layerStoreMemory({ idleTimeToLive: "365 days" })))

describe("CircuitBreaker: random interleavings", () => {
  it.effect.prop(
    "agrees with the model after every step, and never has two probes",
    { threshold: Threshold, steps: script<Step>(Step) },
    ({ threshold, steps }) =>
      Effect.gen(function* () {
        const { breaker, ...subject } = yield* ours(threshold)
        const model = new Model(threshold)
        const flying: Array<Run> = []
        let ids = 0

        const apply = Effect.fnUntraced(function* (step: Step) {
          const now = yield* Clock.currentTimeMillis
          switch (step.op) {
            case "advance":
              return yield* TestClock.adjust(step.millis)
            case "trip":
              model.trip(now)
              return yield* breaker.trip("p")
            case "reset":
              model.reset()
              return yield* breaker.reset("p")
            case "start": {
              const id = ids++
              const expected = model.start(id, now)
              const run = yield* startRun(subject, id)
              assert.strictEqual(run !== "refused", expected, "admitted")
              if (run !== "refused") flying.push(run)
              return
            }
            default: {
              const run = take(flying, step.run)
              if (run === undefined) return
              model.end(run.id, step.op, now)
              return yield* run.end(step.op)
            }
          }
        })

        for (const step of steps) {
          yield* apply(step)
          const state = yield* breaker.state("p")
          assert.strictEqual(state._tag, model.state)
          assert.strictEqual(state.failures, model.failures)
          if (state._tag === "Open") assert.strictEqual(state.until, model.until)
          if (state._tag === "HalfOpen") {
            assert.strictEqual(state.probing, model.probe !== undefined)
            assert.isAtMost(flying.filter(({ id }) => model.current.has(id)).length, 1, "probes in flight")
          }
        }
        // Whatever has happened: once everything is over and the cooldown too, a good run closes it.
        for (const run of flying) yield* run.end("interrupt")
        yield* TestClock.adjust(cooldown)
        yield* subject.protect(Effect.void)
        assert.deepStrictEqual(yield* breaker.state("p"), { _tag: "Closed", failures: 0 })
      }),
    { arbitrary: { runs: 400, size: 80 } }
  )
})

describe("CircuitBreaker: beside effect/persistence", () => {
  it.effect.prop(
    "admits and refuses the same runs, and is in the same state",
    { threshold: Threshold, steps: script<typeof Shared.Type>(Shared) },
    ({ threshold, steps }) =>
      Effect.gen(function* () {
        const { breaker, ...our } = yield* ours(threshold)
        const { state, ...their } = yield* effects(threshold)
        const flying: Array<Run> = []
        let ids = 0

        const apply = Effect.fnUntraced(function* (step: typeof Shared.Type) {
          switch (step.op) {
            case "advance":
              return yield* TestClock.adjust(step.millis)
            case "start": {
              const id = ids++
              const mine = yield* startRun(our, id)
              const other = yield* startRun(their, id)
              assert.strictEqual(mine === "refused", other === "refused", "refused")
              if (mine === "refused" || other === "refused") return
              flying.push({ id, end: (ending) => Effect.andThen(mine.end(ending), other.end(ending)) })
              return
            }
            default: {
              const run = take(flying, step.run)
              return yield* run === undefined ? Effect.void : run.end(step.op)
            }
          }
        })

        for (const step of steps) {
          yield* apply(step)
          const now = yield* Clock.currentTimeMillis
          const mine = yield* breaker.state("p")
          const other = yield* state
          assert.strictEqual(mine._tag, other._tag)
          if (mine._tag === "HalfOpen" && other._tag === "HalfOpen") {
            assert.strictEqual(mine.probing, other.probing)
          }
          if (mine._tag === "Open" && other._tag === "Open") {
            assert.strictEqual(Math.max(0, mine.until - now), Duration.toMillis(other.retryAfter))
          }
        }
        for (const run of flying) yield* run.end("interrupt")
      }),
    { arbitrary: { runs: 300, size: 80 } }
  )
})
