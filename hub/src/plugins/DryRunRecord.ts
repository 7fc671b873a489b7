/** What a dry run logs, and its times. */
import type { ObservedRun, RunObserver } from "@agentlip/plugin-runtime"
import { shortened } from "@agentlip/plugin-runtime/text"
import type { LogLine } from "@agentlip/protocol"

/** Log lines that are kept, and UTF-16 units of all of them. */
const maxLines = 500
const maxLogLength = 128 * 1024

/** Observes one run. Text is redacted before it is kept. */
export class DryRunRecord implements RunObserver {
  readonly lines: Array<LogLine> = []
  leftOut = 0
  observed: ObservedRun | undefined
  #length = 0
  readonly #redact: (text: string) => string

  constructor(redact: (text: string) => string) {
    this.#redact = redact
  }

  log(level: Parameters<RunObserver["log"]>[0], text: string): void {
    const room = maxLogLength - this.#length
    if (this.lines.length >= maxLines || room <= 0) {
      this.leftOut++
      return
    }
    const line = shortened(this.#redact(text), room)
    this.#length += line.length
    const levels = { Debug: "debug", Info: "info", Warn: "warn", Error: "error" } as const
    this.lines.push({ level: levels[level], text: line })
  }

  ended(run: ObservedRun): void {
    this.observed = run
  }
}
