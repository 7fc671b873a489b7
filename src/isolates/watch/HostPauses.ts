/**
 * Pauses of the host: it was stopped by a signal, its machine was suspended, or a busy machine gave it no processor.
 * Plugins are not blamed for this time. A timer measures it while isolates work. It does not use Effect's Clock,
 * because a test that sets the clock does not stop the machine.
 */
import { Clock, Context, Duration, Effect } from "effect"

/** Milliseconds between two ticks. */
const interval = 100

/** In milliseconds. A tick that is later than this means a pause. Shorter delays are normal on a busy machine. */
const noticed = 500

/** Sources of time, both in milliseconds. */
export interface TimeSource {
  /** Monotonic. */
  readonly now: () => number
  /** Processor time of the host's own thread. Time in which it worked is no pause. */
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

  /** Milliseconds of pauses so far. Use the difference of two calls, both between `hold` and `release`. */
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

/** The pauses of this process. */
export const hostPauses = new HostPauses()

const liveClock = Context.get(Context.empty(), Clock.Clock)

/** Milliseconds by a clock that cannot be set. */
export const monotonic = (clock: Clock.Clock): number =>
  clock === liveClock ? performance.now() : clock.currentTimeMillisUnsafe()

/** Milliseconds of the host's pauses so far that a clock has counted; 0 for a test's clock. */
export const pausedBy = (clock: Clock.Clock, now?: number): number =>
  clock === liveClock ? hostPauses.total(now) : 0

/** In milliseconds. After a wake-up that is later than this, messages that have arrived must be read first. */
const late = 50

/** In milliseconds: time to read messages that have arrived. */
const reading = 100

/** How much longer to wait after a wait of `millis` that took `took`; 0 if it is over. */
export const waitOn = (millis: number, took: number, paused: number): number =>
  took - millis > late ? Math.max(millis - (took - paused), reading) : 0

/**
 * One step of a wait for `millis`; look at the clock after it. Timers count whole milliseconds and fire up to a millisecond
 * late, so the last one is waited for in turns of the event loop.
 */
export const sleepExactly = (clock: Clock.Clock, millis: number): Effect.Effect<void> => {
  if (clock !== liveClock) return clock.sleep(Duration.millis(Math.ceil(millis)))
  return millis < 1 ? Effect.yieldNow : clock.sleep(Duration.millis(Math.floor(millis)))
}

/** The time that a run may take, by its caller's clock. */
export class Allowance {
  readonly #clock: Clock.Clock
  readonly #millis: number
  readonly #began: number
  readonly #before: number
  /** When to call `left` next. */
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

  /** Milliseconds that are left. More than 0 if this call is late, so that a reply that has arrived can be read. */
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
 * Waits, not counting pauses, and returns the length of the pauses. If it wakes late, it waits a moment more, so that
 * a message that has arrived can be read first.
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

/** Like Effect's `timeoutOrElse`, but pauses of the host do not count. `orElse` gets their length. */
export const timeoutAwake =
  <B, E2>(millis: number, orElse: (paused: number) => Effect.Effect<B, E2>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A | B, E | E2, R> =>
    Effect.suspend(() => {
      hostPauses.hold()
      return Effect.raceFirst(self, Effect.flatMap(awake(millis), orElse)).pipe(
        Effect.ensuring(Effect.sync(() => hostPauses.release()))
      )
    })

/** The member of a `TIMEOUT` about the host's pauses. */
export const pausedFor = (millis: number): { readonly hostPaused?: Duration.Duration } =>
  millis > 0 ? { hostPaused: Duration.millis(Math.round(millis)) } : {}
