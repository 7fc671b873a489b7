/** A run in the pool of its plugin: it waits for an isolate, is handed to one, and goes back if that does not start it. */
import { Effect } from "effect"
import { type PluginError, PluginTimeout } from "../../Errors.ts"
import type { Limits } from "../../Plugin.ts"
import { Leftover, ReplyType } from "../../wire/messages.ts"
import type { GuestReply } from "../isolate/PendingRequests.ts"
import { crashed } from "../isolate/pluginErrors.ts"
import { decodeRunReply } from "../isolate/runReply.ts"
import { SideMessageHandler } from "../isolate/SideMessageHandler.ts"
import type { Death } from "../isolate/Transport.ts"
import { type Allowance, pausedFor } from "../watch/HostPauses.ts"
import type { Submission } from "../Workers.ts"
import type { IsolateRun, PluginIsolate } from "./PluginIsolate.ts"
import { Waiter } from "./Waiter.ts"

/** The pool, as its runs see it. */
export interface RunPool {
  /** A run is over: those that wait may find an isolate. */
  readonly look: () => void
  /** Puts a run that was not started back at its place in the queue. */
  readonly enqueue: (run: PoolRun) => void
}

export class PoolRun extends Waiter<Submission> implements IsolateRun {
  /** Set when it begins. */
  time: Allowance | undefined
  givenUp = false
  readonly #pool: RunPool
  /** The isolate that has it. */
  #isolate: PluginIsolate | undefined
  /** Made with the first message that is not its reply. */
  #side: SideMessageHandler | undefined

  constructor(number: number, submission: Submission, pool: RunPool) {
    super(number, submission)
    this.#pool = pool
  }

  get limits(): Limits {
    return this.submission.spec.limits
  }

  take(isolate: PluginIsolate): void {
    this.#isolate = isolate
    isolate.hand(this)
  }

  override readmit(): Effect.Effect<void, PluginError> | undefined {
    return this.submission.readmit()
  }

  fail(error: Effect.Effect<never, PluginError>): void {
    this.#answer(error)
  }

  override stop(): Effect.Effect<void> {
    return this.#isolate === undefined ? super.stop() : this.#after(this.#isolate.giveUp(this))
  }

  begun(at: number): void {
    this.#isolate?.begun(this, at)
  }

  replied(reply: GuestReply): void {
    this.#isolate?.done(this, reply.type === ReplyType.output)
    const { spec } = this.submission
    if (reply.leftover !== Leftover.none && spec.reuse === "plugin") {
      this.submission.leftover()
      this.side?.leftover(reply.leftover)
    }
    this.#answer(decodeRunReply(spec, reply))
  }

  died(death: Death): void {
    this.#isolate?.done(this, false)
    this.#answer(Effect.fail(crashed(this.submission.spec, death)))
  }

  crashedAfter(death: Death): void {
    this.side?.crashedAfter(crashed(this.submission.spec, death).reason)
    this.submission.crashed()
  }

  notStarted(): void {
    const isolate = this.#isolate
    if (this.#side !== undefined) isolate?.isolate.fork(this.#after(Effect.void))
    this.#isolate = this.#side = this.time = undefined
    isolate?.left()
    if (this.isOver) return
    this.submission.begun = this.submission.version = undefined
    this.#pool.enqueue(this)
  }

  defect(defect: unknown): void {
    this.#answer(Effect.die(defect))
  }

  timedOut(paused: number): void {
    const { name, timeout } = this.submission.spec
    const error = new PluginTimeout({ plugin: name, timeout, phase: "run", ...pausedFor(paused) })
    this.#answer(Effect.fail(error))
  }

  get side(): SideMessageHandler | undefined {
    if (this.#isolate === undefined) return undefined
    const { isolate, resolved } = this.#isolate
    return (this.#side ??= new SideMessageHandler(isolate, resolved, this.submission))
  }

  /** Closes what is open on the network first. */
  #after<A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.#side === undefined ? answer : this.#side.after(answer)
  }

  #answer(answer: Effect.Effect<string, PluginError>): void {
    if (this.isOver) return
    this.isOver = true
    this.submission.answer(this.#after(answer))
    this.#pool.look()
  }
}
