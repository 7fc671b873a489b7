/**
 * The host's end of the protocol, on any transport: requests are handed over ahead and answered in their order, each
 * bound to its reply by a tag. Whatever else a guest sends is a violation, and the end of the isolate.
 */
import { Duration, Effect } from "effect"
import type { PluginTimeout } from "../../Errors.ts"
import {
  bodyLengthOf,
  bodyOf,
  encodeAbort,
  encodeLoad,
  encodeRun,
  isHello,
  joinRequests,
  leftoverOf,
  noTag,
  tagOf,
  typeOf
} from "../../wire/codec.ts"
import { Leftover, type LogLevel, protocolVersion, ReplyType, Waiting } from "../../wire/messages.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"
import { defaultLimits } from "../../Plugin.ts"
import { MessageQueue } from "./MessageQueue.ts"
import {
  type RequestHandler,
  ignoreOutcome,
  returnUnstarted,
  type PendingRequest,
  PendingRequests
} from "./PendingRequests.ts"
import type { Death, Transport, TransportEvents, Usage } from "./Transport.ts"

/** Room for what a guest says beside an output: a description of what was thrown, escaped. */
const otherReplyLength = 128 * 1024

/** Requests in one message. */
const gatheredAtMost = 16

/** What is looked at in the text of an audit line. */
const maxAuditLength = 8_192

const levels: ReadonlySet<string> = new Set<LogLevel>(["Debug", "Info", "Warn", "Error"])
const isLevel = (value: unknown): value is LogLevel => typeof value === "string" && levels.has(value)

export class Isolate {
  readonly #transport: Transport
  readonly #hello: { settle: (result: Effect.Effect<void, Death>) => void } = { settle: () => {} }
  #greeted = false
  readonly #requests = new PendingRequests()
  readonly #queue = new MessageQueue((message) => this.#message(message))
  /** Replies to requests to run. */
  #answered = 0
  /** Texts of requests that go out together, before the next turn of the event loop, and how many they are. */
  #outbox = ""
  #gathered = 0
  #death: Death | undefined
  #condemned: string | undefined
  /** Whether it begins nothing any more. */
  #spent = false
  /** Whether its last word was that it crashed between two requests. */
  #crashedIdle = false
  /** Whether it is to die for what its plugin did of its own. */
  #isOwnFault = false
  #undead = false
  #waitsFor: PluginTimeout["waitingFor"]
  #modules: GuestModules | undefined
  /**
   * Told once it is gone, and whoever waited for an answer has been told; of what, if it crashed between two requests:
   * the host did not end it, and no request is blamed for it.
   */
  whenGone: (crash: Death | undefined) => void = () => {}
  /** Messages that answer nothing, and the second they came in. */
  #rate = { second: 0, messages: 0 }

  constructor(connect: (events: TransportEvents) => Transport) {
    this.#transport = connect({
      message: (message) => this.#receive(message),
      broken: (what) => this.#violation(what),
      died: (death) => {
        this.#queue.end()
        this.#died(death)
      }
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

  /** What its load was waiting for when its guest had nothing else to do. */
  get waitsFor(): PluginTimeout["waitingFor"] {
    return this.#waitsFor
  }

  /** Whether it is to die: there is no more asking it for anything. */
  get doomed(): boolean {
    return this.#condemned !== undefined
  }

  get gone(): boolean {
    return this.#death !== undefined
  }

  /** Whether it was to die and has not, for longer than a host waits. */
  get undead(): boolean {
    return this.#undead && this.#death === undefined
  }

  readonly usage = (): Promise<Usage> => this.#transport.usage()

  /** Tells the guest something that asks for no reply. */
  tell(text: string): void {
    if (this.#death === undefined) this.#transport.send(text)
  }

  /** Ends it; `false` if it could not be confirmed gone in time. */
  get kill(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      this.#condemned ??= "it was terminated"
      return this.#death === undefined ? this.#end : Effect.succeed(true)
    })
  }

  /** Ends it for a reason that becomes its cause of death. */
  condemn(reason: string): void {
    if (this.#condemned !== undefined || this.#death !== undefined) return
    this.#condemned = reason
    Effect.runFork(this.#end)
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
  readonly booted: Effect.Effect<void, Death> = Effect.callback<void, Death>((resume) => {
    if (this.#death !== undefined) resume(Effect.fail(this.#death))
    else if (this.#greeted) resume(Effect.void)
    else this.#hello.settle = resume
  })

  /** Hands over a run's input, in its trace; it is begun when all before it is answered. */
  run(input: string, traceparent: string | undefined, handler: RequestHandler): void {
    const text = encodeRun(this.#add(handler), traceparent, input)
    if (this.#outbox === "") {
      this.#outbox = text
      queueMicrotask(() => this.#flush())
    } else this.#outbox = joinRequests(this.#outbox, text)
    // A host that takes many replies in one turn hands over in between, or its guest would have nothing to do.
    if (++this.#gathered === gatheredAtMost) this.#flush()
    this.#beginIfFirst()
  }

  /** Hands over the request to load; from then on the guest asks `modules` for its modules. */
  load(body: string, modules: GuestModules | undefined, outputLength: number, handler: RequestHandler): void {
    this.#modules = modules
    this.#transport.load(encodeLoad(this.#add(handler), body), modules, outputLength)
    this.#beginIfFirst()
  }

  #flush(): void {
    const texts = this.#outbox
    this.#outbox = ""
    this.#gathered = 0
    // What was to go to an isolate that begins nothing any more has been given back.
    if (this.#death === undefined && !this.#spent && texts !== "") this.#transport.send(texts)
  }

  #add(handler: RequestHandler): string {
    if (this.#requests.length === 0) this.#transport.hold(true)
    return this.#requests.add(handler).tag
  }

  #beginIfFirst(): void {
    if (this.#requests.length === 1) this.#begin(this.#requests.first)
  }

  /** Takes the first request off; the next is the guest's to begin. */
  #shift(): void {
    this.#requests.shift()
    const { first } = this.#requests
    if (first === undefined) this.#transport.hold(false)
    else if (this.usable) this.#begin(first)
  }

  #begin(pending: PendingRequest | undefined): void {
    this.#modules?.began()
    pending?.handler.begun()
  }

  /**
   * Ends it, busy or not: nothing further begins; whoever waits for the first request is no longer told of it; the
   * plugin is asked to stop, and is killed when `grace` is over. Then comes `done`, which is told whether it could be
   * confirmed gone in time, and then what had not begun is given back.
   */
  stop(grace: Duration.Duration, done: (gone: boolean) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#spent = true
      const rest = this.#requests.detach()
      const { first } = this.#requests
      if (first !== undefined) first.outcome = ignoreOutcome
      return (Duration.toMillis(grace) > 0 ? this.#asked(first, grace) : Effect.void).pipe(
        Effect.andThen(this.kill),
        Effect.flatMap(done),
        // Even where the pool closes meanwhile: somebody waits for each of them.
        Effect.ensuring(Effect.sync(() => returnUnstarted(rest)))
      )
    })
  }

  /** Asks the plugin to stop by itself, and waits until it has answered, died or had its time. */
  #asked(first: PendingRequest | undefined, grace: Duration.Duration): Effect.Effect<unknown> {
    return Effect.callback<void>((resume) => {
      if (first === undefined || this.#condemned !== undefined) return resume(Effect.void)
      const over = (): void => resume(Effect.void)
      first.outcome = { replied: over, died: over, notStarted: over, defect: over }
      this.#transport.send(encodeAbort())
    }).pipe(Effect.interruptible, Effect.timeoutOption(grace))
  }

  #died(death: Death): void {
    this.#modules?.close()
    this.#death = this.#condemned === undefined ? death : { ...death, reason: this.#condemned }
    this.#hello.settle(Effect.fail(this.#death))
    const rest = this.#requests.detach()
    const first = this.#requests.shift()
    // Between two runs; one that crashes before its first would do so for ever.
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

  #receive(message: unknown): void {
    this.#queue.put(message)
    const limit = this.#requests.first?.handler.limits.messageRate ?? defaultLimits.messageRate
    if (this.#queue.length > limit) {
      this.#violation(`more than ${limit} messages that wait to be taken (limits.messageRate)`)
    }
  }

  #message(message: unknown): void {
    if (this.#condemned !== undefined) return
    if (typeof message !== "string") return this.#violation(`a ${typeof message} came where a text was due`)
    const type = typeOf(message)
    if (!this.#greeted) return this.#greet(type, message)
    const { first } = this.#requests
    if (
      type === ReplyType.log ||
      type === ReplyType.net ||
      type === ReplyType.audit ||
      type === ReplyType.waiting
    ) {
      return this.#sideMessage(first, type, message)
    }
    if (type === ReplyType.crashed) return this.#crashed(message)
    if (first === undefined || tagOf(message) !== first.tag) {
      return this.#violation("a reply came that nobody had asked for")
    }
    const room = type === ReplyType.output ? first.handler.limits.outputLength : otherReplyLength
    if (bodyLengthOf(message) > room) return this.#violation(`a reply of ${message.length} characters`)
    const leftover = leftoverOf(message)
    // As its guest does: it begins nothing any more.
    const rest = leftover !== Leftover.none || type === ReplyType.uncrossable ? this.#spend() : undefined
    if (type !== ReplyType.loaded) this.#answered++
    this.#shift()
    first.outcome.replied({ type, body: bodyOf(message), leftover })
    returnUnstarted(rest)
  }

  #spend(): PendingRequest | undefined {
    this.#spent = true
    return this.#requests.detach()
  }

  #greet(type: string, message: string): void {
    if (type === ReplyType.log) return
    if (type === ReplyType.crashed) return this.#crashed(message)
    if (!isHello(message)) return this.#violation(`its hello was not {"protocol":${protocolVersion}}`)
    this.#greeted = true
    this.#hello.settle(Effect.void)
  }

  /** The guest's own last words; it ends itself, the kill only makes sure. */
  #crashed(message: string): void {
    this.#crashedIdle = tagOf(message) === noTag
    const body = bodyOf(message)
    try {
      const reason: unknown = body.length > otherReplyLength ? undefined : JSON.parse(body)
      this.#fault(typeof reason === "string" ? reason : "it crashed")
    } catch {
      this.#violation("a last word that is not JSON")
    }
  }

  /** What a guest says beside its reply. */
  #sideMessage(pending: PendingRequest | undefined, type: string, message: string): void {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#rate.second) this.#rate = { second, messages: 0 }
    // Counted whoever they are from: nobody's messages cost the host as much as anybody's.
    const limit = pending?.handler.limits.messageRate ?? defaultLimits.messageRate
    if (++this.#rate.messages > limit) {
      return this.#violation(`more than ${limit} messages in a second (limits.messageRate)`)
    }
    // From after the reply: the run is over, and so are its log and its requests.
    if (pending === undefined || tagOf(message) !== pending.tag) return
    if (type === ReplyType.log) return this.#log(pending, message)
    const body = bodyOf(message)
    if (type === ReplyType.waiting) {
      this.#waitsFor = body === Waiting.config ? "configSchema" : "top-level await"
      return
    }
    if (type === ReplyType.audit) return this.#audit(pending.handler, body)
    const problem = pending.handler.net(body)
    if (problem !== undefined) this.#violation(problem)
  }

  #log(pending: PendingRequest, message: string): void {
    pending.logLines++
    pending.logLength += message.length
    // The guest caps first; JSON escapes can make a text up to six times as long.
    if (
      pending.logLines > pending.handler.limits.logLines + 1 ||
      pending.logLength > 6 * pending.handler.limits.logLength + 64 * 1024
    ) {
      return this.#violation("more log lines than its limit")
    }
    const line = objectIn(bodyOf(message))
    if (!isLevel(line?.level) || typeof line?.text !== "string") {
      return this.#violation("a log line of another shape")
    }
    const { level, text } = line
    this.#hand(() => pending.handler.log(level, text))
  }

  /** Lets the host's own code take what came: what that throws is the run's defect, not the plugin's fault. */
  #hand(take: () => void): void {
    try {
      take()
    } catch (defect) {
      // Condemned first: whoever the defect wakes must not find it usable.
      this.condemn("the host could not take what it said")
      const { first } = this.#requests
      if (first === undefined) return
      const { outcome } = first
      first.outcome = ignoreOutcome
      outcome.defect(defect)
    }
  }

  #audit(handler: RequestHandler, body: string): void {
    const line = body.length > maxAuditLength ? undefined : objectIn(body)
    const capability = line?.capability
    if (
      (capability !== "read" && capability !== "write" && capability !== "env") ||
      typeof line?.what !== "string"
    )
      return this.#violation("an audit line of another shape")
    const { what } = line
    this.#hand(() => handler.audit({ capability, what }))
  }
}

/** The members of an object that a text is the JSON of. */
const objectIn = (json: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    // Not JSON: not an object.
    return undefined
  }
}
