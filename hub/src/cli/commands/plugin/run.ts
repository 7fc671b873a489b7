/** `agentlip plugin run`: one plugin on one text, without a hub. */
import {
  type ConfiguredSpec,
  extractor,
  grantsSnippet,
  Message,
  type PluginError,
  PluginErrorJson,
  PluginRuntime,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Console, Duration, Effect, Option, Result, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { namedRedactorOf } from "../../../plugins/Secrets.ts"
import { CommandError } from "../../CommandError.ts"
import { type LogLine, runtimeLayer, withItsKind, withLog } from "../../plugins/DryRun.ts"
import { textOf } from "../../flags/Given.ts"
import { Json, workspaceFolder } from "../../flags/Globals.ts"
import { waitForDebugger } from "../../plugins/Inspector.ts"
import { jsonText } from "../../render/Output.ts"
import { problemOf } from "../../plugins/PluginProblem.ts"
import { render, renderProblem, type RunReport, timesOf } from "../../render/RunReport.ts"
import { fileText, invalid, specFlags, specOfFile, specOfName, withFlags } from "../../flags/SpecFlags.ts"

const flags = {
  file: Argument.String("FILE").pipe(
    Argument.withDescription("The plugin's module; or --plugin NAME"),
    Argument.optional
  ),
  plugin: Flag.String("plugin").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The plugin of that name in agentlip.config.ts, with all that is said of it there"),
    Flag.optional
  ),
  text: Flag.String("text").pipe(
    Flag.withDescription("What the message says; - reads it from stdin"),
    Flag.optional
  ),
  message: Flag.String("message").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A message as JSON, instead of --text; fields that are missing are made up"),
    Flag.optional
  ),
  repeat: Flag.Int("repeat").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Run it so often on the same text, until it fails"),
    Flag.withDefault(1)
  ),
  inspect: Flag.Boolean("inspect").pipe(
    Flag.withDescription("Wait for a debugger, and run the plugin in a thread that it can stop"),
    Flag.withDefault(false)
  ),
  inspectPort: Flag.Int("inspect-port").pipe(
    Flag.withMetavar("PORT"),
    Flag.withDescription("Where on 127.0.0.1 debuggers find it"),
    Flag.withDefault(9229)
  ),
  ...specFlags
}

/** Long enough for whoever looks at variables, and a time that timers can count. */
const whileDebugging = Duration.days(7)

const PartialMessage = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const madeUp = (text: string): Message => ({
  id: "message-1",
  content_raw: text,
  sender: "me",
  topic_id: "topic-1",
  channel_id: "channel-1",
  created_at: new Date().toISOString()
})

const messageOf = Effect.fnUntraced(function* (text: Option.Option<string>, file: Option.Option<string>) {
  if (Option.isSome(text) === Option.isSome(file))
    return yield* invalid("Say what the plugin is to run on: --text TEXT, or --message FILE; one of them")
  if (Option.isNone(file)) return madeUp(yield* textOf(Option.getOrElse(text, () => "")))
  const given = yield* Effect.mapError(
    Schema.decodeEffect(PartialMessage)(yield* fileText(file.value)),
    ({ message }) => invalid(`${file.value} holds no JSON object: ${message}`)
  )
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Message)({ ...madeUp(""), ...given }),
    ({ message }) => invalid(`${file.value} holds no message: ${message}`)
  )
})

const specFor = Effect.fnUntraced(function* (given: {
  readonly file: Option.Option<string>
  readonly plugin: Option.Option<string>
}) {
  const { file, plugin } = given
  if (Option.isSome(file) === Option.isSome(plugin))
    return yield* invalid("Say which plugin: its FILE, or --plugin NAME; one of them")
  const workspace = yield* workspaceFolder
  return Option.isSome(plugin)
    ? { spec: yield* specOfName(workspace, plugin.value), base: workspace, kindIsKnown: true }
    : {
        spec: specOfFile(Option.getOrElse(file, () => "")),
        base: process.cwd(),
        kindIsKnown: false
      }
})

/** A thread that nothing but the debugger stops. */
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
      // Of many runs the log of the last is enough.
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

const document = Effect.fnUntraced(function* (report: RunReport) {
  const { spec, info, text, output, error, logs, times, snippet } = report
  const problem = error === undefined ? undefined : problemOf(error, spec)
  return {
    ok: error === undefined,
    plugin: {
      name: spec.name,
      kind: spec.kind.name,
      module_path: spec.modulePath,
      isolation: spec.isolation,
      enforcement: spec.enforcement,
      grants: spec.grants,
      ...(info === undefined ? {} : { calls_itself: info })
    },
    text,
    output: output ?? null,
    error:
      error === undefined || problem === undefined
        ? null
        : {
            ...problem,
            error: namedRedactorOf(spec).json(
              yield* Effect.orDie(Schema.encodeEffect(PluginErrorJson)(error))
            )
          },
    logs,
    times: times ?? null,
    ...(snippet === "" ? {} : { audit: { snippet } })
  }
})

/** Whether stdout is a terminal that is to have colours (https://no-color.org). */
const paper = (): { readonly colours: boolean; readonly columns: number } => ({
  colours: process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "",
  // 0 where a terminal does not know.
  columns: process.stdout.columns || Number.POSITIVE_INFINITY
})

export const pluginRun = Command.make(
  "run",
  flags,
  Effect.fnUntraced(function* (given) {
    if (given.repeat < 1) return yield* invalid("--repeat takes a whole number from 1")
    if (given.inspect && Option.exists(given.isolation, (level) => level !== "thread"))
      return yield* invalid("--inspect runs the plugin in a thread; leave --isolation out")
    const message = yield* messageOf(given.text, given.message)
    const { spec: configured, base, kindIsKnown } = yield* specFor(given)
    const asked = yield* withFlags(configured, given)
    const found =
      kindIsKnown || Option.isSome(given.kind)
        ? Result.succeed(asked)
        : yield* Effect.result(withItsKind(asked)).pipe(Effect.provide(runtimeLayer(base)))
    const report = Result.isFailure(found)
      ? failed(asked, message.content_raw, found.failure)
      : yield* Effect.gen(function* () {
          if (given.inspect) yield* waitForDebugger(given.inspectPort)
          const spec = given.inspect ? debugged(found.success) : found.success
          return yield* runs(spec, message, given.repeat, base).pipe(
            Effect.provide(runtimeLayer(base, given.inspect))
          )
        }).pipe(Effect.scoped)
    const json = yield* Json
    yield* Console.log(json ? jsonText(yield* document(report)) : render(report, paper()).join("\n"))
    if (report.error === undefined) return
    const problem = problemOf(report.error, report.spec)
    return yield* new CommandError({
      reason: json ? problem.message : renderProblem(problem).join("\n"),
      code: report.error._tag
    })
  })
).pipe(
  Command.withDescription("Run a plugin on a text, without a hub, and show what it found, logged and took")
)

/** A plugin that never came to run. */
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
