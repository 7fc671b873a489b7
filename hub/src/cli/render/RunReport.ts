/** Formats the result of a plugin's runs. */
import { lineMark, printable, printableLine } from "@agentlip/plugin-runtime/text"
import type {
  Attachment,
  CodePlace,
  ConfiguredSpec,
  Enrichment,
  PluginError,
  PluginInfo
} from "@agentlip/plugin-runtime"
import { CliOutput } from "effect/cli"
import { rightsOf } from "../../plugins/LoadReport.ts"
import type { LogLine, PluginProblem } from "@agentlip/protocol"
import { pathFromHere, placeText } from "../plugins/problemHere.ts"
import { counted } from "./counted.ts"
import { colourOf, marked, plain, underlined } from "./underline.ts"

/** Times in milliseconds. */
export interface Times {
  readonly load_ms: number
  /** The number of successful runs. */
  readonly runs: number
  readonly run_ms: { readonly min: number; readonly median: number; readonly max: number }
}

export interface RunReport {
  readonly spec: ConfiguredSpec
  readonly info: PluginInfo | undefined
  readonly text: string
  readonly output: ReadonlyArray<Enrichment> | ReadonlyArray<Attachment> | undefined
  readonly error: PluginError | undefined
  readonly logs: ReadonlyArray<LogLine>
  /** `undefined` if the plugin did not load. */
  readonly times: Times | undefined
  /** The line for the config file that grants what the audit reported; empty if it reported nothing. */
  readonly snippet: string
}

/** What the output device supports. */
export interface Paper {
  readonly colours: boolean
  readonly columns: number
}

/** Rounds to three significant digits, enough to compare. */
export const rounded = (millis: number): number => Number(millis.toPrecision(3))

export const timesOf = (load: number, runs: ReadonlyArray<number>): Times => {
  const sorted = runs.toSorted((a, b) => a - b)
  const at = (share: number): number => rounded(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return {
    load_ms: rounded(load),
    runs: runs.length,
    run_ms: { min: at(0), median: at(0.5), max: at(1) }
  }
}

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.map((line) => (line === "" ? "" : `  ${line}`))

const isEnrichment = (item: Enrichment | Attachment): item is Enrichment => "span" in item

const json = (value: unknown): string => printable(JSON.stringify(value))

const padded = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))

/** Aligns the cells in columns. */
const rows = (cells: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => CliOutput.displayWidth(row[column] ?? "")))
  )
  return cells.map((row) =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
}

const found = ({ text, output }: RunReport, { colours, columns }: Paper): ReadonlyArray<string> => {
  const enrichments = (output ?? []).filter(isEnrichment)
  const attachments = (output ?? []).filter((item): item is Attachment => !isEnrichment(item))
  const spans = enrichments.map(({ span }) => span)
  const table = rows([
    ...enrichments.map(({ kind, span, data }) => [
      printableLine(kind),
      `${span.start}-${span.end}`,
      json(text.slice(span.start, span.end)),
      json(data)
    ]),
    ...attachments.map(({ kind, key, value_json, dedupe_key }) => [
      printableLine(kind),
      key === undefined ? "" : `key ${json(key)}`,
      json(value_json),
      dedupe_key === undefined ? "" : `dedupe_key ${json(dedupe_key)}`
    ])
  ])
  return [
    ...(colours ? underlined(text, spans) : marked(text, spans, Math.max(20, columns - 2))),
    "",
    ...(colours ? table.map((row, index) => (spans[index] ? colourOf(index) + row + plain : row)) : table),
    ...(table.length === 0 ? [] : [""])
  ]
}

const summary = ({ spec, output, times }: RunReport): string => {
  if (times === undefined) return "not loaded"
  const { load_ms, runs, run_ms } = times
  const what =
    output === undefined
      ? "no output"
      : counted(output.length, spec.kind.name === "linkifier" ? "enrichment" : "attachment")
  const ran =
    runs <= 1
      ? `ran in ${run_ms.median} ms`
      : `${runs} runs in ${run_ms.min} to ${run_ms.max} ms, median ${run_ms.median} ms`
  return `${what}; loaded in ${load_ms} ms${runs === 0 ? "" : `, ${ran}`}`
}

/** The whole report except the error. */
export const render = (report: RunReport, paper: Paper): ReadonlyArray<string> => {
  const { spec, info, logs, output, snippet } = report
  const version = info === undefined ? "" : ` (${printableLine(info.name)} ${printableLine(info.version)})`
  return [
    `${info === undefined ? "plugin" : spec.kind.name} ${printableLine(spec.name)}${version}: ${printableLine(rightsOf(spec))}`,
    "",
    ...(output === undefined ? [] : indented(found(report, paper))),
    ...(logs.length === 0 ? [] : ["log", ...indented(logs.flatMap(logged)), ""]),
    ...(snippet === ""
      ? []
      : [`To run without audit, write in its entry of the config file: ${printableLine(snippet)}`, ""]),
    summary(report)
  ]
}

/** A log line. Further lines of the same text are indented below it. */
export const logged = ({ level, text }: Pick<LogLine, "level" | "text">): ReadonlyArray<string> => {
  const [first = "", ...more] = printable(text).split(lineMark)
  return [`${level.padEnd(5)}  ${first}`, ...more.map((line) => `       ${line}`)]
}

/** The error, its place in the code, its stack and a hint. */
export const renderProblem = ({
  code,
  message,
  place,
  importer,
  stack,
  hint
}: PluginProblem): ReadonlyArray<string> => [
  `${code}: ${message.replaceAll(lineMark, "\n    ")}`,
  ...(importer === undefined || importer === place?.file
    ? []
    : [`    imported by ${pathFromHere(importer)}`]),
  ...stack.map((frame) => `    at ${printable(frame.what) || "the module"} (${placeText(frame)})`),
  ...(place === undefined ? [] : placeLines(place, stack.length === 0)),
  ...(hint === undefined ? [] : ["", `Hint: ${hint}`])
]

const placeLines = (place: CodePlace, isNew: boolean): ReadonlyArray<string> => [
  ...(isNew ? [`    at ${placeText(place)}`] : []),
  ...(place.frame === "" ? [] : ["", ...place.frame.split("\n")])
]
