/** Loads a plugin and runs it on one message, without a hub. */
import {
  type ConfiguredSpec,
  extractor,
  grantsSnippet,
  type Message,
  type PluginError,
  PluginRuntime,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Duration, Effect, Result } from "effect"
import { namedRedactorOf } from "../../plugins/Secrets.ts"
import { type RunReport, timesOf } from "../render/RunReport.ts"
import { runtimeLayer, withItsKind, withLog } from "../../plugins/DryRun.ts"
import type { LogLine } from "@agentlip/protocol"
import { waitForDebugger } from "./Inspector.ts"

/** The runs to make. */
export interface AskedRuns {
  readonly spec: ConfiguredSpec
  readonly message: Message
  /** The folder where relative grants start. */
  readonly base: string
  /** If false, the plugin's module decides the kind. */
  readonly kindIsKnown: boolean
  readonly repeat: number
  /** If set, the runs wait for a debugger on this port. */
  readonly inspectPort: number | undefined
}

/** Long enough to look at variables. Timers cannot take much longer times. */
const whileDebugging = Duration.days(7)

/** Runs in a thread without limits of time, so that only the debugger stops it. */
const debugged = (spec: ConfiguredSpec): ConfiguredSpec => {
  const { cpu: _, ...limits } = spec.limits
  return { ...spec, isolation: "thread", sandbox: "none", timeout: whileDebugging, limits, concurrency: 1 }
}

const runs = Effect.fnUntraced(function* (
  spec: ConfiguredSpec,
  message: Message,
  repeat: number,
  base: string
) {
  const runtime = yield* PluginRuntime
  const workers = yield* WorkerLayer
  const redact = namedRedactorOf(spec).text
  const logs: Array<LogLine> = []
  const times: Array<number> = []
  const timed = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const since = performance.now()
      return Effect.map(effect, (value) => ({ value, took: performance.now() - since }))
    })
  const result = yield* Effect.gen(function* () {
    const { value: info, took: load } = yield* timed(runtime.load(spec))
    const ofLoad = logs.length
    const run =
      spec.kind.name === extractor.name
        ? runtime.run({ ...spec, kind: extractor }, { message })
        : runtime.run(spec, { message })
    let output: RunReport["output"]
    let error: PluginError | undefined
    for (let count = 0; count < repeat && error === undefined; count++) {
      // Keep the log of the load and of the last run.
      logs.length = ofLoad
      const ran = yield* Effect.result(timed(run))
      if (Result.isFailure(ran)) error = ran.failure
      else {
        output = ran.success.value
        times.push(ran.success.took)
      }
    }
    return { info, load, output: error === undefined ? output : undefined, error }
  }).pipe(
    withLog(({ level, text }) => logs.push({ level, text: redact(text) })),
    Effect.catch((error: PluginError) =>
      Effect.succeed({ info: undefined, load: 0, output: undefined, error })
    )
  )
  const needs = (yield* workers.audits).get(spec.name) ?? {}
  const isUsed = Object.values(needs).some((what) => what.length > 0)
  const report: RunReport = {
    spec,
    info:
      result.info === undefined
        ? undefined
        : { ...result.info, name: redact(result.info.name), version: redact(result.info.version) },
    text: message.content_raw,
    output: result.output,
    error: result.error,
    logs,
    times: result.info === undefined ? undefined : timesOf(result.load, times),
    snippet: spec.enforcement === "audit" && isUsed ? grantsSnippet(spec.grants, needs, base) : ""
  }
  return report
})

/** The report of a plugin that failed to load. */
const failed = (spec: ConfiguredSpec, text: string, error: PluginError): RunReport => ({
  spec,
  info: undefined,
  text,
  output: undefined,
  error,
  logs: [],
  times: undefined,
  snippet: ""
})

/** Loads and runs a plugin, and returns a report. A debugger stays attached until the scope closes. */
export const reportOf = Effect.fnUntraced(function* (asked: AskedRuns) {
  const { message, spec, base, kindIsKnown, inspectPort } = asked
  const inspect = inspectPort !== undefined
  const found = kindIsKnown
    ? Result.succeed(spec)
    : yield* Effect.result(withItsKind(spec)).pipe(Effect.provide(runtimeLayer(base)))
  if (Result.isFailure(found)) return failed(spec, message.content_raw, found.failure)
  if (inspect) yield* waitForDebugger(inspectPort)
  return yield* runs(inspect ? debugged(found.success) : found.success, message, asked.repeat, base).pipe(
    Effect.provide(runtimeLayer(base, { inspectable: inspect }))
  )
})
