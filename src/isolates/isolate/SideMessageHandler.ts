/** Handles what a guest sends before its reply: log lines, parts of a `fetch`, and audit lines. */
import { Cause, Effect, Exit, type Fiber } from "effect"
import { encodeNetAnswer } from "../../wire/codec.ts"
import { type AuditLine, Leftover, type LogLevel } from "../../wire/messages.ts"
import { CurrentRunObserver } from "../../RunObserver.ts"
import { lineText, printableLine, shortened } from "../../text.ts"
import type { Isolate } from "./Isolate.ts"
import { type NetSession, openNetSession } from "../../net/NetSession.ts"
import { withoutGuestFrames } from "./pluginStack.ts"
import type { SideMessages } from "./PendingRequests.ts"
import type { UngrantedUse } from "../Audits.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"

/** The caller of a request: log lines are written in its name. */
export interface Caller {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Annotations of log lines, beside the fiber's own. */
  readonly labels: { readonly [label: string]: string }
}

/** The most warnings of one plugin that are logged. */
const maxNotices = 50

const leftBehind: { readonly [what: string]: string } = {
  [Leftover.resources]: "something open (a timer, for example: clear it, or await it)",
  [Leftover.requests]: "a request open (await it, and read or cancel its body)",
  [Leftover.globals]: "a change of the global variables"
}

/** Variables that many libraries read; a missing one is not worth a warning. */
const usualVariables: ReadonlySet<string> = new Set([
  "CI",
  "COLORTERM",
  "DEBUG",
  "FORCE_COLOR",
  "NODE_DEBUG",
  "NODE_DISABLE_COLORS",
  "NODE_ENV",
  "NO_COLOR",
  "READABLE_STREAM",
  "TERM"
])

/** Log lines become logs of the caller's fiber. Network requests end with the request that made them. */
export class SideMessageHandler implements SideMessages {
  readonly #isolate: Isolate
  readonly #resolved: ResolvedPlugin
  readonly #caller: Caller
  /** Opened at the plugin's first `fetch`. */
  #session: NetSession | undefined

  constructor(isolate: Isolate, resolved: ResolvedPlugin, caller: Caller) {
    this.#isolate = isolate
    this.#resolved = resolved
    this.#caller = caller
  }

  log(level: LogLevel, text: string): void {
    // One line each: a plugin must not be able to fake a whole log line.
    const line = printableLine(withoutGuestFrames(text))
    this.#say(level, shortened(line, this.#resolved.spec.limits.logLength))
  }

  net(json: string): string | undefined {
    this.#session ??= this.#openSession()
    return this.#session.receive(json)
  }

  #openSession(): NetSession {
    const { spec, grants, traffic } = this.#resolved
    return openNetSession({
      fork: this.#isolate.fork,
      grants: grants.net,
      limits: spec.limits,
      traffic,
      send: (answer) => this.#isolate.tell(encodeNetAnswer(answer)),
      ...(this.#inAudit ? { audit: (what) => this.#report({ capability: "net", what }) } : {})
    })
  }

  audit(line: AuditLine): void {
    if (this.#inAudit) this.#report(line)
    else if (line.capability === "env") this.#variableMissing(line.what)
  }

  /** Warns the operator once: what a run left behind, and what that costs. */
  leftover(what: string): void {
    const left = leftBehind[what] ?? leftBehind[Leftover.resources]
    this.#notice(
      `leftover ${what}`,
      `it left ${left} when it returned: its isolate was ended, and the next run takes a new one, which takes many times as long`
    )
  }

  /** Tells the operator that its isolate crashed after it had returned; once for each reason. */
  crashedAfter(reason: string): void {
    this.#notice(
      `crash ${reason}`,
      `its isolate crashed after it had returned: ${reason}. The caller has the output, but its circuit counts the run as a failure; await all that a run starts, and catch its errors`
    )
  }

  /** Closes what is open on the network, then gives the answer. */
  after<A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.#session === undefined ? answer : Effect.ensuring(answer, this.#session.close)
  }

  #say(level: LogLevel, text: string): void {
    const { fiber, labels } = this.#caller
    fiber.getRef(CurrentRunObserver)?.log(level, text)
    const line = Effect.annotateLogs(Effect.logWithLevel(level)(text), labels)
    const exit = this.#isolate.fork(Effect.provideContext(line, fiber.context)).pollUnsafe()
    // The host's own logger threw: a defect of the run.
    if (exit !== undefined && Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  }

  /** Logs a text once for each key. */
  #notice(key: string, text: string, level: LogLevel = "Warn"): void {
    const { noticed } = this.#resolved
    if (noticed.has(key) || noticed.size >= maxNotices) return
    noticed.add(key)
    this.#say(level, text)
  }

  #variableMissing(given: string): void {
    const name = lineText(given)
    // Granted, and not set in the host's environment.
    if (this.#resolved.spec.grants.env?.includes(name) === true) return
    this.#notice(
      `env ${name}`,
      `process.env.${name} is undefined, because it is not granted; grant it with grants.env: ["${name}"]`,
      usualVariables.has(name) ? "Debug" : "Warn"
    )
  }

  // Only audit mode reports uses.
  get #inAudit(): boolean {
    return this.#resolved.spec.enforcement === "audit"
  }

  #report({ capability, what }: UngrantedUse): void {
    const use = { capability, what: lineText(what) }
    const { audits, spec } = this.#resolved
    if (!this.#inAudit || !audits.add(spec.name, use)) return
    this.#say("Warn", `audit: ${use.what} is not granted; it would take grants.${capability}`)
  }
}
