/** An isolate that has loaded its plugin. It holds several runs, and is ended if the current run exceeds its deadline. */
import { Clock, Duration, Effect } from "effect"
import type { PluginInfo } from "../../wire/messages.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import type { RequestHandler } from "../isolate/PendingRequests.ts"
import type { Death } from "../isolate/Transport.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import { Allowance } from "../watch/HostPauses.ts"
import type { Submission } from "../Workers.ts"
import { DeadlineWatch, type TimedRun } from "./DeadlineWatch.ts"

/** A run, as its isolate sees it. */
export interface IsolateRun extends RequestHandler, TimedRun {
  readonly submission: Submission
  /** Set when it begins. */
  time: Allowance | undefined
  /** Whether its caller has stopped waiting. */
  givenUp: boolean
  /** The isolate was ended under it, after the host had stood still for so many milliseconds. */
  readonly timedOut: (paused: number) => void
  /** The isolate crashed after the run had returned an output, and before the next began. */
  readonly crashedAfter: (death: Death) => void
}

/** The pool, as its isolate sees it. */
export interface IsolateOwner {
  /** The isolate has a run now; before, it had none. */
  readonly busy: (isolate: PluginIsolate) => void
  /** The isolate has no run left. May be called more than once. */
  readonly idle: (isolate: PluginIsolate) => void
  /** Records that the isolate did not die. */
  readonly undead: (isolate: PluginIsolate) => Effect.Effect<void>
}

interface PluginIsolateOptions {
  readonly isolate: Isolate
  readonly resolved: ResolvedPlugin
  readonly info: PluginInfo
  /** Whether the plugin's files differ from those that the isolate has loaded. */
  readonly changed: Effect.Effect<boolean>
  /** Boots a spare to replace the one that it was. */
  readonly refill: Effect.Effect<void>
  readonly owner: IsolateOwner
  /** Milliseconds since the epoch, by the caller's clock. */
  readonly now: number
}

export class PluginIsolate {
  readonly isolate: Isolate
  readonly resolved: ResolvedPlugin
  readonly info: PluginInfo
  readonly changed: Effect.Effect<boolean>
  readonly refill: Effect.Effect<void>
  readonly born: number
  readonly #owner: IsolateOwner
  readonly #deadlines: DeadlineWatch<IsolateRun>
  runs = 0
  lastUsed: number
  lastChecked: number
  /** Its files are being checked for changes before it gets a run. */
  isChecked = false
  /** A spare was booted to replace the one that it was. */
  isReplaced = false
  /** Set when it must get no other run. */
  retired = false
  #current: IsolateRun | undefined
  /** The last run, if it has returned an output. */
  #last: IsolateRun | undefined

  constructor({ isolate, resolved, info, changed, refill, owner, now }: PluginIsolateOptions) {
    this.isolate = isolate
    this.resolved = resolved
    this.info = info
    this.changed = changed
    this.refill = refill
    this.#owner = owner
    this.born = this.lastUsed = this.lastChecked = now
    this.#deadlines = new DeadlineWatch({
      fork: isolate.fork,
      current: () => this.#current,
      expired: (run, paused) => this.#stop(run, () => run.timedOut(paused))
    })
    // If the isolate ends between two runs, no run reports it.
    isolate.whenGone = (crash) => {
      if (crash !== undefined) this.#last?.crashedAfter(crash)
      this.left()
    }
  }

  /** Whether it can be handed another run. */
  get open(): boolean {
    return !this.retired && this.isolate.usable
  }

  /** Whether it executes its last runs. */
  get draining(): boolean {
    return this.retired && this.isolate.usable && this.isolate.handed > 0
  }

  get handed(): number {
    return this.isolate.handed
  }

  /** Characters of the runs that it holds. */
  get handedSize(): number {
    return this.isolate.handedSize
  }

  /** Hands a run over. */
  hand(run: IsolateRun): void {
    if (this.isolate.handed === 0) this.#owner.busy(this)
    this.isolate.run(run.submission.input, run.submission.traceparent, run)
  }

  /**
   * Gives a run up. If it has not begun, it never will; if it has, the isolate is ended, and the effect returns when
   * it is gone or the wait for that is over.
   */
  giveUp(run: IsolateRun): Effect.Effect<void> {
    run.givenUp = true
    return run === this.#current ? this.#stop(run, () => {}) : Effect.void
  }

  begun(run: IsolateRun, at: number): void {
    run.submission.begun = at
    run.submission.version = this.info.version
    run.time = new Allowance(run.clock, Duration.toMillis(run.submission.spec.timeout), at)
    this.#current = run
    if (run.givenUp) this.isolate.fork(this.giveUp(run))
    else this.#deadlines.watch(run.time.due, run.clock)
  }

  /** A run has been answered: with an output, or it has failed. */
  done(run: IsolateRun, hasOutput: boolean): void {
    this.runs++
    this.#last = hasOutput ? run : undefined
    this.lastUsed = run.clock.currentTimeMillisUnsafe()
    this.left()
  }

  /** Hands it no further run; it is ended when it has none left. */
  retire(): void {
    this.retired = true
    this.left()
  }

  /** A run has left it; it may have been the last. */
  left(): void {
    if (this.isolate.handed > 0) return
    this.#current = undefined
    if (this.open) this.#deadlines.rest()
    else this.#deadlines.end()
    this.#owner.idle(this)
  }

  /** Ends the isolate under a run; `tell` is called when it is gone, or when the wait for that is over. */
  #stop(run: IsolateRun, tell: () => void): Effect.Effect<void> {
    this.retired = true
    this.#deadlines.stop()
    const over = Effect.sync(() => {
      this.#current = undefined
      this.#owner.idle(this)
      tell()
    })
    return this.isolate
      .stop(run.submission.spec.grace, (gone) =>
        gone ? over : Effect.andThen(this.#owner.undead(this), over)
      )
      .pipe(
        // If the level closes meanwhile, this call is the only one. Otherwise it does nothing.
        Effect.ensuring(over),
        Effect.provideService(Clock.Clock, run.clock)
      )
  }
}
