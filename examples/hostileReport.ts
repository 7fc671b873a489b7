/** The hostile demo's report, for a terminal. */
import type { CircuitState, Message } from "@agentlip/protocol"
import { styleText } from "node:util"
import type { Rogue } from "./hostile/gallery.ts"

/** What became of one hostile plugin. */
export interface Fate {
  readonly rogue: Rogue
  /** How each of its runs ended: an error's code, or a job's state. */
  readonly ends: ReadonlyArray<string>
  /** Messages that it was not run on, because its circuit was open. */
  readonly spared: number
  /** An error's message: of one that should not have been, if there was one. */
  readonly said: string
  readonly circuit: CircuitState
  readonly asItShould: boolean
}

export interface Check {
  readonly holds: boolean
  readonly what: string
}

const width = Math.max(90, Math.min(process.stdout.columns ?? 120, 140))

const shorten = (text: string, longest: number): string => {
  const line = text.replaceAll("\n", " ")
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line
}

const mark = (good: boolean): string => (good ? styleText("green", "✓") : styleText("red", "✗"))
const dim = (text: string): string => styleText("dim", text)

export const renderMessage = ({ sender, content_raw }: Message, finds: number): string =>
  `  ${sender.padEnd(4)} ${shorten(content_raw, width - 30).padEnd(width - 30)} ${dim(finds === 0 ? "nothing to find" : `${finds} found`)}`

/** `TIMEOUT ×3` */
const counted = (ends: ReadonlyArray<string>): string =>
  [...Map.groupBy(ends, (end) => end)].map(([end, all]) => `${end} ×${all.length}`).join(", ")

const circuitText = ({ circuit, spared }: Fate): string =>
  circuit === "closed" ? "closed" : `${circuit.replace("_", " ")}, ${spared} spared`

const columns = (cells: ReadonlyArray<string>): string => {
  const widths = [20, 9, 42, 16]
  return cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" ")
}

/** The reason alone: who it is about is in the table. */
const reasonOf = ({ rogue, said }: Fate): string =>
  said.replace(`Plugin "${rogue.name}" `, "").replace(/ If the work is legitimate.*$/, "")

export const renderFates = (fates: ReadonlyArray<Fate>): string =>
  [
    "",
    `    ${styleText("bold", columns(["hostile plugin", "level", "it tried", "circuit", "what came of it"]))}`,
    ...fates.flatMap((fate) => [
      `  ${mark(fate.asItShould)} ${columns([fate.rogue.name, fate.rogue.isolation, fate.rogue.tries, circuitText(fate), counted(fate.ends)])}`,
      ...(fate.said === "" ? [] : [dim(`    └ ${shorten(reasonOf(fate), width - 8)}`)])
    ]),
    ""
  ].join("\n")

export const renderChecks = (checks: ReadonlyArray<Check>): string =>
  [...checks.map(({ holds, what }) => `  ${mark(holds)} ${what}`), ""].join("\n")
