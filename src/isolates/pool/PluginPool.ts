/**
 * The isolates of one plugin and the runs that wait for them. The pool gives each isolate several runs ahead, starts
 * isolates up to the spec's `concurrency`, and takes back runs that an isolate did not start.
 */
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import { type ResolvedGrants, requestsProblem, resolveGrants } from "../../Capabilities.ts"
import { LoadError, type PluginError } from "../../Errors.ts"
import { exitOf } from "../../exits.ts"
import type { PluginInfo } from "../../wire/messages.ts"
import type { PluginRecorder } from "../../Metrics.ts"
import type { PluginSpec } from "../../Plugin.ts"
import { crashed } from "../isolate/pluginErrors.ts"
import { runtimeClosed } from "../../modules/LoaderPool.ts"
import type { HandedRun, IsolateOwner, PluginIsolate } from "./PluginIsolate.ts"
import { makeTraffic } from "../../net/NetSession.ts"
import { QueuePlace, RunQueue } from "./RunQueue.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import type { PreparedPlugin, Submission } from "../Workers.ts"

/** Runs that an isolate may hold; it executes one at a time. */
const handedAhead = 64

/** Milliseconds between checks of a plugin's files for changes. */
const changeCheckInterval = 1_000

type Labels = { readonly [label: string]: string }

/** What the pools of all plugins on a level share. */
export interface PoolHost {
  /** Base folder of relative paths in grants. */
  readonly grantsBase: string
  /** Milliseconds after which an isolate is replaced. */
  readonly maxAge: number
  /** Runs after which an isolate is replaced. */
  readonly maxRuns: number
  /** The error for every run while no isolate may be made; `undefined` otherwise. */
  readonly refusal: (spec: PluginSpec) => PluginError | undefined
  readonly audit: (plugin: string) => ResolvedPlugin["audit"]
  readonly recorder: (spec: PluginSpec) => PluginRecorder
  /** Forks an effect that is interrupted when the level closes. */
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  /** Boots an isolate, or takes a spare, and has it load the plugin. Only the load can be interrupted. */
  readonly make: (
    resolved: ResolvedPlugin,
    owner: IsolateOwner,
    labels: Labels
  ) => Effect.Effect<PluginIsolate, PluginError>
  /** Whether the files that an isolate has loaded have changed; `false` if that is not known in time. */
  readonly hasChanged: (isolate: PluginIsolate) => Effect.Effect<boolean>
  readonly busy: (isolate: PluginIsolate, spec: PluginSpec, recorder: PluginRecorder) => void
  readonly idle: (isolate: PluginIsolate) => void
  /** Ends an isolate in the background. */
  readonly discard: (isolate: PluginIsolate, spec: PluginSpec) => void
  /** Boots a spare to replace the one that became this isolate. */
  readonly fill: (isolate: PluginIsolate) => void
  /** Records an isolate that did not die. */
  readonly undead: (isolate: PluginIsolate, spec: PluginSpec) => Effect.Effect<void>
  readonly hasEarlier: (spec: PluginSpec) => boolean
}

/** Something that waits for an isolate of the plugin: a run, or a caller of `load`. */
abstract class Waiter extends QueuePlace {
  abstract readonly fiber: Fiber.Fiber<unknown, unknown>
  abstract readonly labels: Labels
  /** Cancels it at any stage. */
  cancel: Effect.Effect<void> = Effect.void
  isOver = false

  get now(): number {
    return this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  }

  abstract take(isolate: PluginIsolate): void
  abstract fail(error: Effect.Effect<never, PluginError>): void
  abstract readmit(): Effect.Effect<void, PluginError> | undefined
}

class WaitingRun extends Waiter implements HandedRun {
  readonly submission: Submission
  readonly #pool: PluginPool

  constructor(number: number, submission: Submission, pool: PluginPool) {
    super(number)
    this.submission = submission
    this.#pool = pool
  }

  get fiber(): Submission["fiber"] {
    return this.submission.fiber
  }

  get labels(): Submission["labels"] {
    return this.submission.labels
  }

  take(isolate: PluginIsolate): void {
    this.cancel = isolate.hand(this)
  }

  readmit(): Effect.Effect<void, PluginError> | undefined {
    return this.submission.readmit()
  }

  answer(answer: Effect.Effect<string, PluginError>): void {
    if (this.isOver) return
    this.isOver = true
    this.submission.answer(answer)
    this.#pool.look()
  }

  fail(error: Effect.Effect<never, PluginError>): void {
    this.answer(error)
  }

  /** The isolate will not start the run: it goes back to the queue. */
  returned(): void {
    if (this.isOver) return
    this.submission.begun = undefined
    this.#pool.enqueue(this)
  }
}

class WaitingLoad extends Waiter {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly labels: Labels
  readonly #answer: (answer: Effect.Effect<PluginInfo, PluginError>) => void

  constructor(
    number: number,
    fiber: Fiber.Fiber<unknown, unknown>,
    labels: Labels,
    answer: (answer: Effect.Effect<PluginInfo, PluginError>) => void
  ) {
    super(number)
    this.fiber = fiber
    this.labels = labels
    this.#answer = answer
  }

  take(isolate: PluginIsolate): void {
    isolate.left()
    this.isOver = true
    this.#answer(Effect.succeed(isolate.info))
  }

  readmit(): undefined {
    return undefined
  }

  fail(error: Effect.Effect<never, PluginError>): void {
    if (this.isOver) return
    this.isOver = true
    this.#answer(error)
  }
}

export class PluginPool implements PreparedPlugin, IsolateOwner {
  readonly #spec: PluginSpec
  readonly #host: PoolHost
  readonly #recorder: PluginRecorder
  /** Runs that an isolate may hold at once. Processor time is counted from run to run: if it is limited, only one. */
  readonly #ahead: number
  readonly #isolates = new Set<PluginIsolate>()
  readonly #queue = new RunQueue<Waiter>()
  #resolved: ResolvedPlugin | undefined
  #loading = 0
  #submitted = 0
  #isLooking = false

  constructor(spec: PluginSpec, host: PoolHost) {
    this.#spec = spec
    this.#host = host
    this.#recorder = host.recorder(spec)
    this.#ahead = spec.reuse === "plugin" && spec.limits.cpu === undefined ? handedAhead : 1
  }

  submit(submission: Submission): Effect.Effect<void> {
    const run = new WaitingRun(this.#submitted++, submission, this)
    this.#admit(run)
    return this.#cancelling(run)
  }

  readonly load: Effect.Effect<PluginInfo, PluginError> = Effect.withFiber((fiber) =>
    Effect.callback<PluginInfo, PluginError>((resume) => {
      const load = new WaitingLoad(this.#submitted++, fiber, { plugin: this.#spec.name }, resume)
      this.#admit(load)
      return this.#cancelling(load)
    })
  )

  waiting(): number {
    let held = this.#loading
    for (const isolate of this.#isolates) held += isolate.handed
    return Math.max(0, this.#queue.length + held - this.#spec.concurrency * this.#ahead)
  }

  hasEarlier(): boolean {
    return this.#host.hasEarlier(this.#spec)
  }

  /** Puts a run that was not started back at its place in the queue. */
  enqueue(waiter: Waiter): void {
    this.#queue.insert(waiter)
    waiter.cancel = Effect.sync(() => this.#queue.remove(waiter))
    this.look()
  }

  /**
   * Looks for isolates for those that wait: in the next turn, so that what a run's end means to its circuit is settled
   * before another run begins.
   */
  look(): void {
    if (this.#isLooking || this.#queue.length === 0) return
    this.#isLooking = true
    setImmediate(() => {
      this.#isLooking = false
      for (let waiter = this.#queue.shift(); waiter !== undefined; waiter = this.#queue.shift()) {
        if (this.#isReadmitted(waiter) && !this.#place(waiter)) return this.#wait(waiter)
      }
    })
  }

  busy(isolate: PluginIsolate): void {
    this.#host.busy(isolate, this.#spec, this.#recorder)
  }

  /** An isolate has nothing left to do, or is gone. */
  idle(isolate: PluginIsolate): void {
    this.#host.idle(isolate)
    const isSpent = !isolate.open || isolate.runs >= this.#host.maxRuns || this.#spec.reuse === "never"
    if (isSpent) {
      if (!this.#isolates.delete(isolate)) return
      this.#host.discard(isolate, this.#spec)
    }
    // Not before its first runs are over: they need the core themselves.
    if (isSpent || !isolate.isReplaced) this.#host.fill(isolate)
    isolate.isReplaced = true
    this.look()
  }

  undead(isolate: PluginIsolate): Effect.Effect<void> {
    return this.#host.undead(isolate, this.#spec)
  }

  fork(effect: Effect.Effect<unknown>): Fiber.Fiber<unknown> {
    return this.#host.fork(effect)
  }

  #admit(waiter: Waiter): void {
    if (this.#queue.length > 0 || !this.#place(waiter)) this.#wait(waiter)
  }

  #wait(waiter: Waiter): void {
    this.#queue.insert(waiter)
    waiter.cancel = Effect.sync(() => this.#queue.remove(waiter))
  }

  #cancelling(waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      waiter.isOver = true
      return waiter.cancel
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
    this.#forkFor(waiter, question, (exit) => {
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
    const isolate = this.#ready(waiter)
    if (isolate === undefined) return this.#grow(waiter)
    if (isolate.handed >= this.#ahead || isolate.isChecked) return false
    if (waiter instanceof WaitingRun && !this.#isDue(isolate, waiter.now)) {
      waiter.take(isolate)
      return true
    }
    this.#check(isolate, waiter)
    return true
  }

  /** The isolate with the fewest runs; `undefined` if starting another one is better. */
  #ready(waiter: Waiter): PluginIsolate | undefined {
    if (this.#spec.reuse === "never") return undefined
    const { maxAge, maxRuns } = this.#host
    for (let least = this.#least(); least !== undefined; least = this.#least()) {
      if (waiter.now - least.born <= maxAge && least.runs + least.handed < maxRuns) {
        return least.handed > 0 && this.#canGrow && waiter instanceof WaitingRun ? undefined : least
      }
      least.retire()
    }
    return undefined
  }

  #least(): PluginIsolate | undefined {
    let least: PluginIsolate | undefined
    for (const isolate of this.#isolates) {
      if (isolate.open && (least === undefined || isolate.handed < least.handed)) least = isolate
    }
    return least
  }

  get #canGrow(): boolean {
    let taken = this.#loading
    // An isolate that takes nothing more still finishes what it has.
    for (const isolate of this.#isolates) if (isolate.open || isolate.draining) taken++
    return taken < this.#spec.concurrency
  }

  /** Whether an idle isolate's files have to be looked at before it is used; those of a busy one are, meanwhile. */
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
    this.#forkFor(waiter, this.#host.hasChanged(isolate), (exit) => {
      isolate.isChecked = false
      if (Exit.isSuccess(exit) && exit.value) isolate.retire()
      this.look()
      if (waiter.isOver) return
      if (isolate.open) waiter.take(isolate)
      else if (!this.#place(waiter)) this.#wait(waiter)
    })
  }

  /** Starts an isolate for the run if the spec allows one more. */
  #grow(waiter: Waiter): boolean {
    if (!this.#canGrow) return false
    this.#loading++
    const make = Effect.flatMap(this.#prepared, (resolved) => this.#host.make(resolved, this, waiter.labels))
    this.#forkFor(waiter, make, (exit) => {
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

  /** What its isolates are made for. A path in a grant stands for what it led to when the plugin was first loaded. */
  get #prepared(): Effect.Effect<ResolvedPlugin, PluginError> {
    if (this.#resolved !== undefined) return Effect.succeed(this.#resolved)
    const spec = this.#spec
    const base = this.#host.grantsBase
    const problem = requestsProblem(spec)
    const grants: Effect.Effect<ResolvedGrants, string> =
      problem === undefined ? resolveGrants(spec.isolation, spec.grants, base) : Effect.fail(problem)
    return Effect.mapBoth(grants, {
      onFailure: (reason) => new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason }),
      onSuccess: (grants): ResolvedPlugin =>
        (this.#resolved = {
          spec,
          grants,
          base,
          audit: this.#host.audit(spec.name),
          traffic: makeTraffic(spec.limits.fetchConcurrency),
          noticed: new Set()
        })
    })
  }

  /** Runs an effect for a waiter, in the context of its fiber; cancelling the waiter interrupts the effect. */
  #forkFor<A>(
    waiter: Waiter,
    effect: Effect.Effect<A, PluginError>,
    done: (exit: Exit.Exit<A, PluginError>) => void
  ): void {
    let isDone = false
    const fiber = this.#host.fork(
      effect.pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            isDone = true
            // Interrupted, but not by its caller: the level is closing.
            const isClosing = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) && !waiter.isOver
            done(isClosing ? Exit.fail(crashed(this.#spec, { reason: runtimeClosed })) : exit)
          })
        ),
        Effect.exit,
        Effect.provideContext(waiter.fiber.context)
      )
    )
    if (!isDone) waiter.cancel = Effect.asVoid(Fiber.interrupt(fiber))
  }
}
