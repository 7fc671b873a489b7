/**
 * The isolates of one plugin and the runs that wait for them. The pool gives each isolate several runs ahead, starts
 * isolates up to the spec's `concurrency`, and takes back runs that an isolate did not start.
 */
import { Effect, Exit } from "effect"
import type { PluginError } from "../../Errors.ts"
import { exitOf } from "../../exits.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PluginInfo } from "../../wire/messages.ts"
import { unpreparedError } from "../isolate/pluginErrors.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { Submission } from "../Workers.ts"
import { IsolateSet } from "./IsolateSet.ts"
import type { IsolateOwner, PluginIsolate } from "./PluginIsolate.ts"
import type { PoolHost } from "./PoolHost.ts"
import { PoolRun, type RunPool } from "./PoolRun.ts"
import { resolvePlugin } from "./resolvePlugin.ts"
import { RunQueue } from "./RunQueue.ts"
import { type Waiter, WaitingLoad } from "./Waiter.ts"

/** Runs that an isolate may hold; it executes one at a time. */
const handedAhead = 64

/** Milliseconds between checks of a plugin's files for changes. */
const changeCheckInterval = 1_000

export class PluginPool implements IsolateOwner, RunPool {
  readonly #spec: PluginSpec
  readonly #host: PoolHost
  /** Runs that an isolate may hold at once. */
  readonly #ahead: number
  readonly #isolates: IsolateSet
  readonly #queue = new RunQueue<Waiter>()
  /** Made once: a granted path is what it led to when the plugin was first loaded. */
  #resolved: ResolvedPlugin | undefined
  #loading = 0
  #submitted = 0
  #isLooking = false

  constructor(spec: PluginSpec, host: PoolHost) {
    this.#spec = spec
    this.#host = host
    // Processor time is counted from run to run.
    this.#ahead = spec.reuse === "plugin" && spec.limits.cpu === undefined ? handedAhead : 1
    this.#isolates = new IsolateSet({ ...host.given.options, ahead: this.#ahead })
  }

  submit(submission: Submission): Effect.Effect<void> {
    return this.#admit(new PoolRun(this.#submitted++, submission, this))
  }

  /** Loads the plugin, unless an isolate has it loaded. */
  load(spec: PluginSpec): Effect.Effect<PluginInfo, PluginError> {
    const labels = { plugin: spec.name }
    return Effect.withFiber((fiber) =>
      Effect.callback<PluginInfo, PluginError>((resume) =>
        this.#admit(new WaitingLoad(this.#submitted++, { spec, fiber, labels, answer: resume }))
      )
    )
  }

  waiting(): number {
    const taken = this.#loading + this.#isolates.taken
    return Math.max(0, this.#queue.length + taken - this.#spec.concurrency * this.#ahead)
  }

  /** Puts a run that was not started back at its place in the queue. */
  enqueue(waiter: Waiter): void {
    this.#queue.insert(waiter)
    this.look()
  }

  /**
   * Gives isolates to those that wait, in the next turn of the event loop: by then the circuit has counted the run that
   * has just ended.
   */
  look(): void {
    if (this.#isLooking || this.#queue.length === 0) return
    this.#isLooking = true
    setImmediate(() => {
      this.#isLooking = false
      for (let waiter = this.#queue.shift(); waiter !== undefined; waiter = this.#queue.shift()) {
        if (this.#isReadmitted(waiter) && !this.#place(waiter)) return this.#queue.insert(waiter)
      }
    })
  }

  busy(isolate: PluginIsolate): void {
    this.#host.busy(isolate)
  }

  /** An isolate has nothing left to do, or is gone. */
  idle(isolate: PluginIsolate): void {
    this.#host.idle(isolate)
    const isSpent =
      !isolate.open || isolate.runs >= this.#host.given.options.maxRuns || this.#spec.reuse === "never"
    if (isSpent) {
      if (!this.#isolates.delete(isolate)) return
      this.#host.discard(isolate)
    }
    // Not before its first runs are over, because they need the core.
    if (isSpent || !isolate.isReplaced) this.#host.fill(isolate)
    isolate.isReplaced = true
    this.look()
  }

  undead(isolate: PluginIsolate): Effect.Effect<void> {
    return this.#host.undead(isolate)
  }

  /** Gives it to an isolate or puts it into the queue; the effect cancels it. */
  #admit(waiter: Waiter): Effect.Effect<void> {
    if (this.#queue.length > 0 || !this.#place(waiter)) this.#queue.insert(waiter)
    return Effect.suspend(() => {
      waiter.isOver = true
      this.#queue.remove(waiter)
      return waiter.stop()
    })
  }

  /** Whether a run that has waited may still run; if that takes time to find out, it comes back to the queue. */
  #isReadmitted(waiter: Waiter): boolean {
    const question = waiter.readmit()
    if (question === undefined) return true
    const known = exitOf(question)
    if (known !== undefined) {
      if (Exit.isFailure(known)) waiter.fail(Effect.failCause(known.cause))
      return Exit.isSuccess(known)
    }
    waiter.perform(question, this.#host.fork, (exit) => {
      if (Exit.isSuccess(exit)) this.enqueue(waiter)
      else waiter.fail(Effect.failCause(exit.cause))
    })
    return false
  }

  /** Gives the run to an isolate, or starts an isolate for it; `false` if it must wait. */
  #place(waiter: Waiter): boolean {
    const refusal = this.#host.refusal(this.#spec)
    if (refusal !== undefined) {
      waiter.fail(Effect.fail(refusal))
      return true
    }
    const { now } = waiter
    const isLoad = waiter instanceof WaitingLoad
    const isolate = this.#ready(now, isLoad)
    if (isolate === undefined) return this.#grow(waiter)
    // A load takes no place.
    if ((!isLoad && this.#isolates.isFull(isolate)) || isolate.isChecked) return false
    if (!isLoad && !this.#isDue(isolate, now)) {
      waiter.take(isolate)
      return true
    }
    this.#check(isolate, waiter)
    return true
  }

  /** The isolate for the next run; `undefined` if starting another one is better. */
  #ready(now: number, isLoad: boolean): PluginIsolate | undefined {
    if (this.#spec.reuse === "never") return undefined
    const least = this.#isolates.least(now)
    return least !== undefined && least.handed > 0 && !isLoad && this.#canGrow ? undefined : least
  }

  get #canGrow(): boolean {
    return this.#loading + this.#isolates.occupied < this.#spec.concurrency
  }

  /** Whether its files must be checked before it gets a run. The files of a busy isolate are checked meanwhile. */
  #isDue(isolate: PluginIsolate, now: number): boolean {
    if (now - isolate.lastChecked < changeCheckInterval) return false
    isolate.lastChecked = now
    if (isolate.handed === 0) return true
    this.#host.fork(
      Effect.map(this.#host.hasChanged(isolate), (changed) => {
        if (changed) isolate.retire()
      })
    )
    return false
  }

  #check(isolate: PluginIsolate, waiter: Waiter): void {
    isolate.isChecked = true
    waiter.perform(this.#host.hasChanged(isolate), this.#host.fork, (exit) => {
      isolate.isChecked = false
      if (Exit.isSuccess(exit) && exit.value) isolate.retire()
      this.look()
      if (waiter.isOver) return
      if (isolate.open) waiter.take(isolate)
      else if (!this.#place(waiter)) this.#queue.insert(waiter)
    })
  }

  /** Starts an isolate for the run if the spec allows one more. */
  #grow(waiter: Waiter): boolean {
    if (!this.#canGrow) return false
    this.#loading++
    const make = Effect.flatMap(this.#resolvedPlugin, (resolved) =>
      this.#host.make(resolved, this, waiter.submission)
    )
    waiter.perform(make, this.#host.fork, (exit) => {
      this.#loading--
      if (Exit.isSuccess(exit)) this.#adopt(exit.value, waiter)
      else waiter.fail(Effect.failCause(exit.cause))
      this.look()
    })
    return true
  }

  #adopt(isolate: PluginIsolate, waiter: Waiter): void {
    this.#isolates.add(isolate)
    if (waiter.isOver) return isolate.left()
    waiter.take(isolate)
    if (this.#spec.reuse === "never") isolate.retire()
  }

  get #resolvedPlugin(): Effect.Effect<ResolvedPlugin, PluginError> {
    if (this.#resolved !== undefined) return Effect.succeed(this.#resolved)
    return Effect.mapBoth(resolvePlugin(this.#spec, this.#host.given), {
      onFailure: (error) => unpreparedError(this.#spec, error),
      onSuccess: (resolved) => (this.#resolved = resolved)
    })
  }
}
