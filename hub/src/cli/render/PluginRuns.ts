/** Formats the latest runs of a plugin, each with its log and its error. */
import { printableLine } from "@agentlip/plugin-runtime/text"
import type { PluginRun } from "@agentlip/protocol"
import { logged, renderProblem } from "./RunReport.ts"

const whatCameOf = ({ outcome, found }: PluginRun): string =>
  found === null ? outcome : `ok, ${found} found`

const times = ({ queue_ms, run_ms }: PluginRun): string =>
  run_ms === null ? "not run by an isolate" : `ran ${run_ms} ms after ${queue_ms ?? 0} ms in the queue`

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.flatMap((line) => line.split("\n")).map((line) => (line === "" ? "" : `  ${line}`))

const renderRun = (run: PluginRun): ReadonlyArray<string> => [
  printableLine(
    [
      `${run.at}  ${whatCameOf(run)}`,
      times(run),
      ...(run.version === null ? [] : [`version ${run.version}`]),
      `message ${run.message_id}`
    ].join(", ")
  ),
  ...indented(run.logs.flatMap(logged)),
  ...(run.logs_left_out === 0 ? [] : [`  Lines not shown: ${run.logs_left_out}`]),
  ...(run.error === null ? [] : indented(renderProblem(run.error))),
  ""
]

/** Oldest first, so that the newest is above the prompt. */
export const renderRuns = (runs: ReadonlyArray<PluginRun>): ReadonlyArray<string> =>
  runs.length === 0 ? ["It has not run since the hub started."] : runs.toReversed().flatMap(renderRun)
