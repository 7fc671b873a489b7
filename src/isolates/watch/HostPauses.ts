/**
 * When the host itself stood still: stopped by a signal, frozen with its machine, or without a turn on a crowded one.
 * Time that its plugins cannot be blamed for. Measured by a tick while isolates are at work, and apart from Effect's
 * Clock: a test that sets that does not stop the machine.
 */
import { Clock, Context, Duration, Effect } from "effect"

/** Milliseconds between two ticks. */
const interval = 100

/** A tick that is so much late, in milliseconds, tells of a pause; less is an ordinary day of a busy machine. */
const noticed = 500

/** Where time comes from; both in milliseconds. */
export interface TimeSource {
  /** Monotonic. */
  readonly now: () => number
  /** Processor time of the host's own thread: what it worked for was no pause. */
  readonly cpu: () => number
}

const realTime: TimeSource = {
  now: () => performance.now(),
  cpu: () => {
    const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage()
    return (user + system) / 1_000
  }
}

export class HostPauses {
  readonly #time: TimeSource
  #total = 0
  #last = 0
  /** At the last tick. */
  #cpu = 0
  #holders = 0
  #timer: NodeJS.Timeout | undefined

  constructor(time: TimeSource = realTime) {
    this.#time = time
  }

  /** Watches until `release`; calls nest. */
  hold(): void {
    if (++this.#holders > 1) return
    this.#last = this.#time.now()
    this.#cpu = this.#time.cpu()
    this.#timer = setInterval(() => this.tick(), interval).unref()
  }

  release(): void {
    if (--this.#holders > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Milliseconds of pauses so far; only the difference of two looks, made while it watches, means something. */
  total(now = this.#time.now()): number {
    if (this.#timer === undefined) return this.#total
    const late = now - this.#last - interval
    this.#last = now
    if (late > noticed) {
      const worked = this.#time.cpu() - this.#cpu
      if (late - worked > noticed) this.#total += late - worked
      this.#cpu += worked
    }
    return this.#total
  }

  tick(): void {
    this.total()
    this.#cpu = this.#time.cpu()
  }
}

/** Of this process. */
export const hostPauses = new HostPauses()

const liveClock = Context.get(Context.empty(), Clock.Clock)

/** Milliseconds by a clock that nobody sets back or forward. */
export const monotonic = (clock: Clock.Clock): number =>
  clock === liveClock ? performance.now() : clock.currentTimeMillisUnsafe()

/** Milliseconds of the host's pauses so far, as far as they matter to what a clock measures. */
export const pausedBy = (clock: Clock.Clock, now?: number): number =>
  clock === liveClock ? hostPauses.total(now) : 0

/** A wake-up that is so much late, in milliseconds: what came meanwhile is still to be read. */
const late = 50

/** What there is to be read is read in so many milliseconds. */
const reading = 100

/** How long to wait on after a wait that was to last `millis` and took `took`; 0 if it is over. */
export const waitOn = (millis: number, took: number, paused: number): number =>
  took - millis > late ? Math.max(millis - (took - paused), reading) : 0

/** The time that a run has, by its caller's clock. */
export class Allowance {
  readonly #clock: Clock.Clock
  readonly #millis: number
  readonly #began: number
  readonly #before: number
  /** When it is to be looked at next. */
  due: number

  /** `now`: as `performance.now()` counts. */
  constructor(clock: Clock.Clock, millis: number, now = performance.now()) {
    this.#clock = clock
    this.#millis = millis
    this.#began = clock === liveClock ? now : clock.currentTimeMillisUnsafe()
    this.#before = pausedBy(clock, this.#began)
    this.due = this.#began + millis
  }

  get paused(): number {
    return pausedBy(this.#clock) - this.#before
  }

  /** Milliseconds that are left; more than 0 if this look comes late, so that an answer that waits can be read. */
  left(): number {
    const now = monotonic(this.#clock)
    const isLate = this.#clock === liveClock && now - this.due > late
    const left = this.#began + this.#millis + this.paused - now
    const more = isLate ? Math.max(left, reading) : left
    this.due = now + more
    return more
  }
}

/**
 * Waits for so long, not counting pauses, and returns how long those were. If it wakes late, it waits a moment more:
 * what was waited for can arrive first.
 */
const awake = (millis: number): Effect.Effect<number> =>
  Effect.clockWith((clock) => {
    const began = monotonic(clock)
    const before = pausedBy(clock)
    return Effect.andThen(
      Effect.sleep(millis),
      Effect.suspend(() => {
        const paused = pausedBy(clock) - before
        const more = waitOn(millis, monotonic(clock) - began, paused)
        return Effect.as(more > 0 ? Effect.sleep(more) : Effect.void, paused)
      })
    )
  })

/** As Effect's `timeoutOrElse`, of a time in which the host was awake; `orElse` is told how long it was not. */
export const timeoutAwake =
  <B, E2>(millis: number, orElse: (paused: number) => Effect.Effect<B, E2>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A | B, E | E2, R> =>
    Effect.suspend(() => {
      hostPauses.hold()
      return Effect.raceFirst(self, Effect.flatMap(awake(millis), orElse)).pipe(
        Effect.ensuring(Effect.sync(() => hostPauses.release()))
      )
    })

/** What a `TIMEOUT` says of the host's pauses. */
export const pausedFor = (millis: number): { readonly hostPaused?: Duration.Duration } =>
  millis > 0 ? { hostPaused: Duration.millis(Math.round(millis)) } : {}
