/**
 * The host's end of the protocol, on any transport. The host sends requests ahead, and the guest answers them in order;
 * a tag binds each reply to its request. If a guest sends anything else, the isolate ends.
 */
import { Deferred, Duration, Effect } from "effect"
import type { PluginTimeout } from "../../Errors.ts"
import type { Fork } from "../../Fork.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"
import { encodeAbort, encodeLoad, encodeRun } from "../../wire/codec.ts"
import { Leftover, type LoadRequest, ReplyType } from "../../wire/messages.ts"
import { type RunInput, sizeOf } from "../../wire/runInput.ts"
import { MessageReader } from "./MessageReader.ts"
import { Outbox } from "./Outbox.ts"
import {
  type GuestReply,
  type RequestHandler,
  ignoreOutcome,
  returnUnstarted,
  type PendingRequest,
  PendingRequests
} from "./PendingRequests.ts"
import type { Death, Transport, TransportEvents, Usage } from "./Transport.ts"

export class Isolate {
  readonly #transport: Transport
  readonly #hello = Deferred.makeUnsafe<void, Death>()
  readonly #requests = new PendingRequests()
  readonly #outbox: Outbox
  readonly #reader = new MessageReader({
    requests: this.#requests,
    isOver: () => this.#condemned !== undefined,
    greeted: () => Deferred.doneUnsafe(this.#hello, Effect.void),
    replied: (request, reply) => this.#replied(request, reply),
    // The guest ends itself; the kill makes sure.
    crashed: (reason, isIdle) => {
      this.#crashedIdle = isIdle
      this.#fault(reason)
    },
    violation: (what) => this.#violation(what),
    defect: (defect) => this.#defect(defect)
  })
  /** Starts effects that end when the level closes. */
  readonly fork: Fork
  /** How many runs it has answered. */
  #answered = 0
  #death: Death | undefined
  /** Why it is being ended. */
  #condemned: string | undefined
  /** Whether it starts nothing more. */
  #spent = false
  /** Whether its last message said that it crashed between two requests. */
  #crashedIdle = false
  /** Whether it is being ended for what its plugin did. */
  #isOwnFault = false
  #undead = false
  #modules: GuestModules | undefined
  /**
   * Called when it is gone, after all outcomes of its requests. `crash` is set if it crashed between two requests: the
   * host did not end it, and no request failed because of it.
   */
  whenGone: (crash: Death | undefined) => void = () => {}

  constructor(connect: (events: TransportEvents) => Transport, fork: Fork) {
    this.fork = fork
    this.#transport = connect({
      message: (message) => this.#reader.receive(message),
      broken: (what) => this.#violation(what),
      died: (death) => this.#died(death)
    })
    this.#outbox = new Outbox((requests, texts) => {
      // If it starts nothing more, these requests have been given back.
      if (this.#death === undefined && !this.#spent) this.#transport.send(requests, texts)
    })
  }

  /** Whether it can take another request. */
  get usable(): boolean {
    return this.#death === undefined && this.#condemned === undefined && !this.#spent
  }

  /** Requests that it has not answered. */
  get handed(): number {
    return this.#requests.length
  }

  /** Characters of these requests. */
  get handedSize(): number {
    return this.#requests.size
  }

  /** What its load waited for when its guest had nothing else to do. */
  get waitsFor(): PluginTimeout["waitingFor"] {
    return this.#reader.waitsFor
  }

  get gone(): boolean {
    return this.#death !== undefined
  }

  /** Whether it was killed and is still there after the host has waited long enough. */
  get undead(): boolean {
    return this.#undead && this.#death === undefined
  }

  readonly usage = (): Promise<Usage> => this.#transport.usage()

  /** Sends a message that has no reply. */
  tell(text: string): void {
    if (this.#death === undefined) this.#transport.send(text)
  }

  /** Ignores what it says from now on, and does not count its end as a crash. The caller ends it soon. */
  abandon(): void {
    this.#condemned ??= "it was terminated"
  }

  /** Ends it; `false` if it could not be confirmed gone in time. */
  get kill(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.abandon()
      return this.#death === undefined ? this.#end : Effect.succeed(true)
    })
  }

  /** Ends it for a reason that becomes its cause of death. */
  condemn(reason: string): void {
    if (this.#condemned !== undefined || this.#death !== undefined) return
    this.#condemned = reason
    this.fork(this.#end)
  }

  get #end(): Effect.Effect<boolean> {
    this.#modules?.close()
    return Effect.tap(this.#transport.kill, (gone) =>
      Effect.sync(() => {
        this.#undead = !gone
      })
    )
  }

  /** Waits for the guest's first message. */
  readonly booted = Deferred.await(this.#hello)

  /** Hands over a run's input and trace context; it begins when all requests before it are answered. */
  run(input: RunInput, traceparent: string | undefined, handler: RequestHandler): void {
    // It may have died after it had loaded, before its first run was handed over.
    if (this.#death !== undefined) return handler.died(this.#death)
    const text = encodeRun(this.#add(handler, sizeOf(input)), traceparent, input.json)
    const isFirst = this.#requests.length === 1
    // Not after it is sent: the guest that wakes up may take the host's core for milliseconds.
    const at = performance.now()
    this.#outbox.add(text, isFirst, input.texts)
    if (isFirst) this.#beginFirst(at)
  }

  /** Hands over the request to load; from then on the guest asks `modules` for its modules. */
  load(request: LoadRequest, modules: GuestModules | undefined, handler: RequestHandler): void {
    const body = JSON.stringify(request)
    const text = encodeLoad(this.#add(handler, body.length), body)
    this.#modules = modules
    this.#transport.load(text, modules, request.limits.outputLength)
    if (this.#requests.length === 1) this.#beginFirst(performance.now())
  }

  #add(handler: RequestHandler, size: number): string {
    if (this.#requests.length === 0) this.#transport.hold(true)
    return this.#requests.add(handler, size).tag
  }

  #beginFirst(at: number): void {
    this.#modules?.began()
    this.#requests.first?.handler.begun(at)
  }

  /**
   * Ends it, busy or not. Nothing further begins, and the first request gets no outcome. The plugin is asked to stop;
   * after `grace` the isolate is killed. Then `done` runs, with whether the isolate was confirmed gone in time. Last,
   * the requests that had not begun are returned.
   */
  stop(grace: Duration.Duration, done: (gone: boolean) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const rest = this.#spend()
      const { first } = this.#requests
      if (first !== undefined) first.outcome = ignoreOutcome
      return (Duration.toMillis(grace) > 0 ? this.#askToStop(first, grace) : Effect.void).pipe(
        Effect.andThen(this.kill),
        Effect.flatMap(done),
        // Also if the level closes meanwhile, because each of them has a caller that waits.
        Effect.ensuring(Effect.sync(() => returnUnstarted(rest)))
      )
    })
  }

  /** Asks the plugin to stop, and waits until it has answered or died, or until its time is over. */
  #askToStop(first: PendingRequest | undefined, grace: Duration.Duration): Effect.Effect<unknown> {
    return Effect.callback<void>((resume) => {
      if (first === undefined || this.#condemned !== undefined) return resume(Effect.void)
      const over = (): void => resume(Effect.void)
      first.outcome = { replied: over, died: over, notStarted: over, defect: over }
      this.#transport.send(encodeAbort())
    }).pipe(Effect.interruptible, Effect.timeoutOption(grace))
  }

  #died(death: Death): void {
    this.#reader.end()
    this.#modules?.close()
    this.#death = this.#condemned === undefined ? death : { ...death, reason: this.#condemned }
    Deferred.doneUnsafe(this.#hello, Effect.fail(this.#death))
    const rest = this.#requests.detach()
    const first = this.#requests.shift()
    // An isolate that crashes before its first reply would crash each time: its first request fails.
    const isBetween = first === undefined || (this.#crashedIdle && this.#answered > 0)
    if (isBetween) first?.outcome.notStarted()
    else first.outcome.died(this.#death)
    returnUnstarted(rest)
    const isCrash = this.#condemned === undefined || this.#isOwnFault
    this.whenGone(isBetween && isCrash ? this.#death : undefined)
  }

  #violation(what: string): void {
    this.#fault(`it broke the protocol: ${what}`)
  }

  #fault(reason: string): void {
    if (this.#condemned === undefined) this.#isOwnFault = true
    this.condemn(reason)
  }

  #replied(request: PendingRequest, reply: GuestReply): void {
    const { type, leftover } = reply
    // Its guest starts nothing more either.
    const rest = leftover !== Leftover.none || type === ReplyType.uncrossable ? this.#spend() : undefined
    if (type !== ReplyType.loaded) this.#answered++
    this.#requests.shift()
    // The guest begins the next.
    if (this.#requests.length === 0) this.#transport.hold(false)
    else if (this.usable) this.#beginFirst(performance.now())
    request.outcome.replied(reply)
    returnUnstarted(rest)
  }

  /** From now on it starts nothing more. Returns the requests after the first. */
  #spend(): PendingRequest | undefined {
    this.#spent = true
    return this.#requests.detach()
  }

  /** The host's own code threw: the run dies with the defect. */
  #defect(defect: unknown): void {
    // First, because the caller that gets the defect must not find this isolate usable.
    this.condemn("the host could not take what it said")
    const { first } = this.#requests
    if (first === undefined) return
    const { outcome } = first
    first.outcome = ignoreOutcome
    outcome.defect(defect)
  }
}
