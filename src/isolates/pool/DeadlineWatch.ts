/** Watches the deadlines of an isolate's runs: one fiber for all of them, asleep until the next deadline. */
import { type Clock, Effect, type Fiber } from "effect"
import type { Fork } from "../../Fork.ts"
import { type Allowance, hostPauses, sleepExactly } from "../watch/HostPauses.ts"

/** If no run comes for so many milliseconds, the fiber ends: a sleeping fiber keeps the host's process alive. */
const restTime = 100

/** A run with a deadline. */
export interface TimedRun {
  readonly clock: Clock.Clock
  /** Set when the run begins. */
  readonly time: Allowance | undefined
}

interface DeadlineWatchOptions<Run> {
  readonly fork: Fork
  /** The run that executes now. */
  readonly current: () => Run | undefined
  /** The time of the current run is over; the host stood still for `paused` milliseconds of it. */
  readonly expired: (run: Run, paused: number) => Effect.Effect<void>
}

export class DeadlineWatch<Run extends TimedRun> {
  readonly #options: DeadlineWatchOptions<Run>
  #fiber: Fiber.Fiber<unknown> | undefined
  #clock: Clock.Clock | undefined
  #wakesAt = Number.POSITIVE_INFINITY
  #restTimer: NodeJS.Timeout | undefined
  /** Whether the host's pauses are watched for it. */
  #holdsPauses = false
  #isStopped = false

  constructor(options: DeadlineWatchOptions<Run>) {
    this.#options = options
  }

  /** A run begins. */
  watch(due: number, clock: Clock.Clock): void {
    if (due >= this.#wakesAt && clock === this.#clock) return
    this.#fiber?.interruptUnsafe()
    this.#clock = clock
    if (!this.#holdsPauses) hostPauses.hold()
    this.#holdsPauses = true
    const fiber = this.#options.fork(this.#look(clock))
    // Its first look may have found the time over already.
    this.#fiber = this.#isStopped ? undefined : fiber
  }

  /** No run is left. The fiber stays for a while: if a run comes soon, that is cheaper than a new fiber. */
  rest(): void {
    if (this.#fiber === undefined) return
    this.#restTimer ??= setTimeout(() => {
      if (this.#options.current() === undefined) this.end()
    }, restTime).unref()
    this.#restTimer.refresh()
  }

  end(): void {
    clearTimeout(this.#restTimer)
    this.#restTimer = undefined
    this.#fiber?.interruptUnsafe()
    this.#fiber = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
    if (!this.#holdsPauses) return
    this.#holdsPauses = false
    hostPauses.release()
  }

  /** Ends for good. */
  stop(): void {
    this.#isStopped = true
    this.end()
  }

  #look(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.suspend(() => {
      const run = this.#options.current()
      this.#wakesAt = Number.POSITIVE_INFINITY
      if (run?.time === undefined || run.clock !== clock) return Effect.void
      const { time } = run
      const left = time.left()
      if (left <= 0) {
        // This fiber goes on with `expired`: ending the watch must not interrupt it.
        this.#fiber = undefined
        return this.#options.expired(run, time.paused)
      }
      this.#wakesAt = time.due
      return Effect.andThen(sleepExactly(clock, left), this.#look(clock))
    })
  }
}
