/**
 * An isolate that has loaded its plugin. It takes runs ahead and sees to the deadline of the one that its guest is
 * at: one watchdog for all of them, asleep until the first of their deadlines.
 */
import { Clock, Duration, Effect, Fiber } from "effect"
import { NotBegun, type PluginError, PluginTimeout } from "../Errors.ts"
import type { PluginInfo } from "../guest/protocol.ts"
import { crashed, meaning } from "./exchange.ts"
import type { Isolate } from "./Isolate.ts"
import type { Ask, GuestReply } from "./Requests.ts"
import type { Subject } from "./Subject.ts"
import { Talk } from "./Talk.ts"
import type { Death } from "./Transport.ts"

/** One value for all: nothing is to be told from it but that. */
export const notBegun = Effect.fail(new NotBegun())

/** Takes a run's output, or why there is none. */
export type Answer = (answer: Effect.Effect<string, PluginError | NotBegun>) => void

/** One run, as its caller knows it. */
export interface Call {
  /** Whose log its log lines are in, and whose clock says when its time is over. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** What log lines are annotated with. */
  readonly labels: { readonly plugin: string; readonly run: string }
  /** Of the trace that the run is part of, as W3C Trace Context writes it: 55 characters. */
  readonly traceparent: string | undefined
  /** When an isolate began it, as `performance.now()` counts; set then. */
  begun: number | undefined
}

/** What an isolate needs of the pool it is from. */
export interface Keeper {
  /** Starts something that ends with the pool. */
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  /** It has something to do, or has nothing left to do. */
  readonly busy: (warm: Warm) => void
  /** May be told more than once. */
  readonly idle: (warm: Warm) => void
  /** Takes note that it would not die. */
  readonly undead: (warm: Warm) => Effect.Effect<void>
}

/** Milliseconds without a run after which its watchdog goes too: asleep it would keep the host's process alive. */
const watchless = 100

export class Warm {
  readonly isolate: Isolate
  readonly info: PluginInfo
  readonly changed: Effect.Effect<boolean>
  readonly born: number
  readonly #keeper: Keeper
  runs = 0
  lastUsed: number
  lastChecked: number
  /** Set when it must not be handed another run. */
  retired = false
  #current: Run | undefined
  #watchdog: Fiber.Fiber<unknown> | undefined
  #watchClock: Clock.Clock | undefined
  #wakesAt = Number.POSITIVE_INFINITY
  #unwatch: NodeJS.Timeout | undefined
  #stopping = false

  constructor(
    isolate: Isolate,
    info: PluginInfo,
    /** Whether its plugin's files are other than those it has loaded. */
    changed: Effect.Effect<boolean>,
    keeper: Keeper,
    now: number
  ) {
    this.isolate = isolate
    this.info = info
    this.changed = changed
    this.#keeper = keeper
    this.born = this.lastUsed = this.lastChecked = now
    // Nobody else would hear of an end between two runs.
    isolate.whenGone = () => this.left()
  }

  /** Whether it can be handed another run. */
  get open(): boolean {
    return !this.retired && this.isolate.usable
  }

  /** Whether it is at work on its last runs. */
  get draining(): boolean {
    return this.retired && this.isolate.usable && this.isolate.handed > 0
  }

  get handed(): number {
    return this.isolate.handed
  }

  /**
   * Hands a run over; `answer` is called once, with its output's JSON or why there is none. What comes back gives the
   * run up: one that has not begun will not; under one that has the isolate ends, and it returns once that is gone or
   * cannot be waited for any longer.
   */
  hand(subject: Subject, input: string, call: Call, answer: Answer): Effect.Effect<void> {
    const run = new Run(this, subject, call, answer)
    if (this.isolate.handed === 0) this.#keeper.busy(this)
    this.isolate.run(input, call.traceparent, run)
    return Effect.suspend(() => run.after(this.#giveUp(run)))
  }

  /** Hands a run over and waits for its output's JSON; interruption gives it up. */
  run(subject: Subject, input: string, call: Call): Effect.Effect<string, PluginError | NotBegun> {
    return Effect.callback<string, PluginError | NotBegun>((resume) =>
      this.open ? this.hand(subject, input, call, resume) : resume(notBegun)
    )
  }

  begun(run: Run): void {
    const now = run.clock.currentTimeMillisUnsafe()
    run.call.begun = performance.now()
    run.deadline = now + run.timeout
    this.#current = run
    if (run.givenUp) this.#keeper.fork(this.#giveUp(run))
    else if (run.deadline < this.#wakesAt || run.clock !== this.#watchClock) this.#watch(run.clock)
  }

  /** A run has been answered. */
  done(run: Run): void {
    this.runs++
    this.lastUsed = run.clock.currentTimeMillisUnsafe()
    this.left()
  }

  /** Hands it no further run; it is ended when it has none left. */
  retire(): void {
    this.retired = true
    this.left()
  }

  /** A run was given back; it may have been the last. */
  left(): void {
    if (this.isolate.handed > 0) return
    this.#current = undefined
    this.#relax()
    this.#keeper.idle(this)
  }

  #giveUp(run: Run): Effect.Effect<void> {
    run.givenUp = true
    return run === this.#current ? this.#stop(run, () => {}) : Effect.void
  }

  /** Ends the isolate under a run; `tell` is called when it is gone, or cannot be waited for any longer. */
  #stop(run: Run, tell: () => void): Effect.Effect<void> {
    this.retired = true
    this.#stopping = true
    this.#endWatch()
    const over = Effect.sync(() => {
      this.#current = undefined
      this.#keeper.idle(this)
      tell()
    })
    return this.isolate
      .stop(run.grace, (gone) => (gone ? over : Effect.andThen(this.#keeper.undead(this), over)))
      .pipe(
        // Told again it is deaf; a pool that closes meanwhile must not leave it untold.
        Effect.ensuring(over),
        Effect.provideService(Clock.Clock, run.clock)
      )
  }

  /** Nothing is left to watch; a run that comes soon finds the watchdog still there, which is cheaper than a new one. */
  #relax(): void {
    if (this.#watchdog === undefined) return
    if (!this.open) return this.#endWatch()
    this.#unwatch ??= setTimeout(() => {
      if (this.isolate.handed === 0) this.#endWatch()
    }, watchless).unref()
    this.#unwatch.refresh()
  }

  #endWatch(): void {
    clearTimeout(this.#unwatch)
    this.#unwatch = undefined
    this.#watchdog?.interruptUnsafe()
    this.#watchdog = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
  }

  #watch(clock: Clock.Clock): void {
    this.#watchdog?.interruptUnsafe()
    this.#watchClock = clock
    const watchdog = this.#keeper.fork(this.#look(clock))
    this.#watchdog = this.#stopping ? undefined : watchdog
  }

  #look(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.suspend(() => {
      const run = this.#current
      this.#wakesAt = Number.POSITIVE_INFINITY
      if (run === undefined || run.clock !== clock) return Effect.void
      const left = run.deadline - clock.currentTimeMillisUnsafe()
      if (left <= 0) {
        // It ends by itself now, and not by whoever ends the isolate.
        this.#watchdog = undefined
        return this.#stop(run, () => run.timedOut())
      }
      this.#wakesAt = run.deadline
      return Effect.andThen(clock.sleep(Duration.millis(left)), this.#look(clock))
    })
  }
}

/** A run that was handed over. */
class Run extends Talk implements Ask {
  readonly call: Call
  readonly clock: Clock.Clock
  readonly timeout: number
  readonly grace: Duration.Duration
  deadline = Number.POSITIVE_INFINITY
  /** Whether its caller has stopped waiting. */
  givenUp = false
  readonly #warm: Warm
  readonly #subject: Subject
  readonly #answer: Answer

  constructor(warm: Warm, subject: Subject, call: Call, answer: Answer) {
    super(warm.isolate, subject, call)
    this.call = call
    this.clock = call.fiber.getRef(Clock.Clock)
    this.timeout = Duration.toMillis(subject.spec.timeout)
    this.grace = subject.spec.grace
    this.#warm = warm
    this.#subject = subject
    this.#answer = answer
  }

  begun(): void {
    this.#warm.begun(this)
  }

  replied(reply: GuestReply): void {
    this.#warm.done(this)
    this.#answer(this.after(meaning(this.#subject.spec, reply)))
  }

  died(death: Death): void {
    this.#warm.done(this)
    this.#answer(this.after(Effect.fail(crashed(this.#subject.spec, death))))
  }

  unbegun(): void {
    this.#warm.left()
    this.#answer(notBegun)
  }

  defect(defect: unknown): void {
    this.#answer(this.after(Effect.die(defect)))
  }

  timedOut(): void {
    const { name, timeout } = this.#subject.spec
    this.#answer(this.after(Effect.fail(new PluginTimeout({ plugin: name, timeout, phase: "run" }))))
  }
}
