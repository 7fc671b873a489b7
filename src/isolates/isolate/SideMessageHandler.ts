/** What a guest may say while it works on a request: log lines, parts of a `fetch`, and what an audit is to report. */
import { Effect, type Fiber } from "effect"
import { encodeNetAnswer } from "../../wire/codec.ts"
import { type AuditLine, Leftover, type LogLevel } from "../../wire/messages.ts"
import type { Limits } from "../../Plugin.ts"
import { lineText, printableLine, shortened } from "../../text.ts"
import type { Isolate } from "./Isolate.ts"
import { type LazySession, lazySession } from "../../net/LazySession.ts"
import { withoutGuestFrames } from "./pluginStack.ts"
import type { SideMessages } from "./PendingRequests.ts"
import type { ResolvedPlugin, UngrantedUse } from "../ResolvedPlugin.ts"

/** Who asked, and what is said in whose name. */
export interface Caller {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Annotations of log lines, beside the fiber's own. */
  readonly labels: { readonly [label: string]: string }
}

/** Of one plugin. */
const maxNotices = 50

const leftBehind: { readonly [what: string]: string } = {
  [Leftover.resources]: "something open (a timer, for example: clear it, or await it)",
  [Leftover.requests]: "a request open (await it, and read or cancel its body)",
  [Leftover.globals]: "a change of the global variables"
}

/** What libraries look for, whatever they are used for. */
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

/** Log lines are Effect logs of the fiber that asked; requests on the network end with the answer. */
export class SideMessageHandler implements SideMessages {
  readonly limits: Limits
  readonly #isolate: Isolate
  readonly #resolved: ResolvedPlugin
  readonly #caller: Caller
  #session: LazySession | undefined

  constructor(isolate: Isolate, resolved: ResolvedPlugin, caller: Caller) {
    this.limits = resolved.spec.limits
    this.#isolate = isolate
    this.#resolved = resolved
    this.#caller = caller
  }

  log(level: LogLevel, text: string): void {
    // On one line: a line of the log is never all a plugin's own.
    const line = printableLine(withoutGuestFrames(text))
    this.#say(Effect.logWithLevel(level)(shortened(line, this.limits.logLength)))
  }

  net(json: string): string | undefined {
    this.#session ??= lazySession(
      this.#resolved.spec,
      this.#resolved.grants,
      this.#inAudit ? (what) => this.#report({ capability: "net", what }) : undefined,
      (answer) => this.#isolate.tell(encodeNetAnswer(answer))
    )
    return this.#session.receive(json)
  }

  audit(line: AuditLine): void {
    if (this.#inAudit) this.#report(line)
    else if (line.capability === "env") this.#variableMissing(line.what)
  }

  /** Tells the operator what a run has left behind, and what that costs; once. */
  leftover(what: string): void {
    if (this.#resolved.spec.reuse === "never") return
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

  /** The answer, once what it left open on the network is closed. */
  after<A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.#session === undefined ? answer : Effect.ensuring(answer, this.#session.close)
  }

  #say(log: Effect.Effect<void>): void {
    const { fiber, labels } = this.#caller
    Effect.runSyncWith(fiber.context)(Effect.annotateLogs(log, labels))
  }

  /** Says something once, however often it happens. */
  #notice(key: string, text: string, log = Effect.logWarning): void {
    const { noticed } = this.#resolved
    if (noticed.has(key) || noticed.size >= maxNotices) return
    noticed.add(key)
    this.#say(log(text))
  }

  #variableMissing(given: string): void {
    const name = lineText(given)
    // Granted, and not set in the host's environment.
    if (this.#resolved.spec.grants.env?.includes(name) === true) return
    this.#notice(
      `env ${name}`,
      `process.env.${name} is undefined, because it is not granted; grant it with grants.env: ["${name}"]`,
      usualVariables.has(name) ? Effect.logDebug : Effect.logWarning
    )
  }

  // Whoever is not in audit mode has nothing to report.
  get #inAudit(): boolean {
    return this.#resolved.spec.enforcement === "audit"
  }

  #report({ capability, what }: UngrantedUse): void {
    const use = { capability, what: lineText(what) }
    if (!this.#inAudit || !this.#resolved.audit(use)) return
    this.#say(Effect.logWarning(`audit: ${use.what} is not granted; it would take grants.${capability}`))
  }
}
