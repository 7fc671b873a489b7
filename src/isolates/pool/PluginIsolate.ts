/**
 * An isolate that has loaded its plugin. It holds several runs and enforces the deadline of the one that executes: a
 * single watchdog sleeps until the next deadline.
 */
import { Clock, Duration, Effect, type Fiber } from "effect"
import { type PluginError, PluginTimeout } from "../../Errors.ts"
import { Leftover, type PluginInfo, ReplyType } from "../../wire/messages.ts"
import { crashed } from "../isolate/pluginErrors.ts"
import { decodeRunReply } from "../isolate/runReply.ts"
import { Allowance, hostPauses, pausedFor } from "../watch/HostPauses.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import type { RequestHandler, GuestReply } from "../isolate/PendingRequests.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import { SideMessageHandler } from "../isolate/SideMessageHandler.ts"
import type { Death } from "../isolate/Transport.ts"
import type { Submission } from "../Workers.ts"

/** A run that an isolate is handed. */
export interface HandedRun {
  readonly submission: Submission
  /** Called once, unless the run is returned. */
  readonly answer: (answer: Effect.Effect<string, PluginError>) => void
  /** The isolate's use ended before the run began, as far as the host was told. */
  readonly returned: () => void
}

/** The pool, as its isolate sees it. */
export interface IsolateOwner {
  /** Forks an effect that is interrupted when the level closes. */
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  /** The isolate has a run now; before, it had none. */
  readonly busy: (isolate: PluginIsolate) => void
  /** The isolate has no run left. May be called more than once. */
  readonly idle: (isolate: PluginIsolate) => void
  /** Records that the isolate did not die. */
  readonly undead: (isolate: PluginIsolate) => Effect.Effect<void>
}

/** Milliseconds without a run after which its watchdog goes too: asleep it would keep the host's process alive. */
const watchless = 100

interface PluginIsolateOptions {
  readonly isolate: Isolate
  readonly resolved: ResolvedPlugin
  readonly info: PluginInfo
  /** Whether its plugin's files are other than those it has loaded. */
  readonly changed: Effect.Effect<boolean>
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
  /** Boots a spare to replace the one that it was. */
  readonly refill: Effect.Effect<void>
  readonly born: number
  readonly #owner: IsolateOwner
  runs = 0
  lastUsed: number
  lastChecked: number
  /** Its files are being looked at, before it is handed a run. */
  isChecked = false
  /** Another spare has been started in place of the one it was. */
  isReplaced = false
  /** Set when it must get no other run. */
  retired = false
  #current: Run | undefined
  /** The last run, if it has returned an output. */
  #last: Run | undefined
  #watchdog: Fiber.Fiber<unknown> | undefined
  #watchClock: Clock.Clock | undefined
  #wakesAt = Number.POSITIVE_INFINITY
  #unwatch: NodeJS.Timeout | undefined
  /** Whether the host's pauses are watched for it. */
  #watches = false
  #stopping = false

  constructor({ isolate, resolved, info, changed, refill, owner, now }: PluginIsolateOptions) {
    this.isolate = isolate
    this.resolved = resolved
    this.info = info
    this.changed = changed
    this.refill = refill
    this.#owner = owner
    this.born = this.lastUsed = this.lastChecked = now
    // Nobody else would hear of an end between two runs.
    isolate.whenGone = (crash) => {
      if (crash !== undefined) this.#last?.crashed(crash)
      this.left()
    }
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
   * Hands a run over. The returned effect gives it up: a run that has not begun never will; if it has, the isolate is
   * ended, and the effect returns when that is gone or cannot be waited for any longer.
   */
  hand(handed: HandedRun): Effect.Effect<void> {
    const run = new Run(this, handed)
    if (this.isolate.handed === 0) this.#owner.busy(this)
    this.isolate.run(handed.submission.input, handed.submission.traceparent, run)
    return Effect.suspend(() => run.after(this.#giveUp(run)))
  }

  begun(run: Run): void {
    run.submission.begun = performance.now()
    run.time = new Allowance(run.clock, run.timeout)
    this.#current = run
    if (run.givenUp) this.#owner.fork(this.#giveUp(run))
    else if (run.time.due < this.#wakesAt || run.clock !== this.#watchClock) this.#watch(run.clock)
  }

  /** A run has been answered: with an output, or it has failed. */
  done(run: Run, hasOutput: boolean): void {
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

  /** A run was given back; it may have been the last. */
  left(): void {
    if (this.isolate.handed > 0) return
    this.#current = undefined
    this.#relax()
    this.#owner.idle(this)
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
      this.#owner.idle(this)
      tell()
    })
    return this.isolate
      .stop(run.grace, (gone) => (gone ? over : Effect.andThen(this.#owner.undead(this), over)))
      .pipe(
        // A second call does nothing; a pool that closes meanwhile must not leave it untold.
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
    if (!this.#watches) return
    this.#watches = false
    hostPauses.release()
  }

  #watch(clock: Clock.Clock): void {
    this.#watchdog?.interruptUnsafe()
    this.#watchClock = clock
    if (!this.#watches) hostPauses.hold()
    this.#watches = true
    const watchdog = this.#owner.fork(this.#look(clock))
    this.#watchdog = this.#stopping ? undefined : watchdog
  }

  #look(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.suspend(() => {
      const run = this.#current
      this.#wakesAt = Number.POSITIVE_INFINITY
      if (run?.time === undefined || run.clock !== clock) return Effect.void
      const { time } = run
      const left = time.left()
      if (left <= 0) {
        // It ends by itself now, and not by whoever ends the isolate.
        this.#watchdog = undefined
        const { paused } = time
        return this.#stop(run, () => run.timedOut(paused))
      }
      this.#wakesAt = time.due
      return Effect.andThen(clock.sleep(Duration.millis(left)), this.#look(clock))
    })
  }
}

/** A run that was handed over. */
class Run extends SideMessageHandler implements RequestHandler {
  readonly submission: Submission
  readonly clock: Clock.Clock
  readonly timeout: number
  readonly grace: Duration.Duration
  /** From when it begins. */
  time: Allowance | undefined
  /** Whether its caller has stopped waiting. */
  givenUp = false
  readonly #isolate: PluginIsolate
  readonly #handed: HandedRun

  constructor(isolate: PluginIsolate, handed: HandedRun) {
    super(isolate.isolate, isolate.resolved, handed.submission)
    this.submission = handed.submission
    this.clock = this.submission.fiber.getRef(Clock.Clock)
    this.timeout = Duration.toMillis(this.submission.spec.timeout)
    this.grace = this.submission.spec.grace
    this.#isolate = isolate
    this.#handed = handed
  }

  begun(): void {
    this.#isolate.begun(this)
  }

  replied(reply: GuestReply): void {
    this.#isolate.done(this, reply.type === ReplyType.output)
    if (reply.leftover !== Leftover.none && this.submission.spec.reuse === "plugin") {
      this.submission.leftover()
      this.leftover(reply.leftover)
    }
    this.#answer(decodeRunReply(this.submission.spec, reply))
  }

  died(death: Death): void {
    this.#isolate.done(this, false)
    this.#answer(Effect.fail(crashed(this.submission.spec, death)))
  }

  /** Its isolate crashed after it had returned. */
  crashed(death: Death): void {
    this.crashedAfter(crashed(this.submission.spec, death).reason)
    this.submission.crashed()
  }

  notStarted(): void {
    this.#isolate.left()
    this.#handed.returned()
  }

  defect(defect: unknown): void {
    this.#answer(Effect.die(defect))
  }

  timedOut(paused: number): void {
    const { name, timeout } = this.submission.spec
    const error = new PluginTimeout({ plugin: name, timeout, phase: "run", ...pausedFor(paused) })
    this.#answer(Effect.fail(error))
  }

  #answer(answer: Effect.Effect<string, PluginError>): void {
    this.#handed.answer(this.after(answer))
  }
}
