/** `agentlip plugin run`: runs one plugin on one text, without a hub. */
import { Message, PluginErrorJson } from "@agentlip/plugin-runtime"
import { Console, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { namedRedactorOf } from "../../../plugins/Secrets.ts"
import { CommandError } from "../../CommandError.ts"
import { textOf } from "../../flags/Given.ts"
import { Json, workspaceFolder } from "../../flags/Globals.ts"
import { show } from "../../render/Output.ts"
import { problemHere } from "../../plugins/problemHere.ts"
import { reportOf } from "../../plugins/reportOf.ts"
import { runOnChanges } from "../../plugins/Watch.ts"
import { render, renderProblem, type RunReport } from "../../render/RunReport.ts"
import { fileText, invalid, specFlags, specOfFile, specOfName, withFlags } from "../../flags/SpecFlags.ts"

const flags = {
  file: Argument.String("FILE").pipe(
    Argument.withDescription("The plugin's module. Or pass --plugin"),
    Argument.optional
  ),
  plugin: Flag.String("plugin").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("A plugin of agentlip.config.ts, with its settings there"),
    Flag.optional
  ),
  text: Flag.String("text").pipe(
    Flag.withDescription("The text of the message; - reads it from stdin"),
    Flag.optional
  ),
  message: Flag.String("message").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A JSON file with the message, instead of --text. Missing fields get sample values"),
    Flag.optional
  ),
  repeat: Flag.Int("repeat").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Run it N times on the same text, and stop at the first failure. Default: 1"),
    Flag.withDefault(1)
  ),
  watch: Flag.Boolean("watch").pipe(
    Flag.withDescription(
      "Run again when the plugin, a file that it imports or a file of these flags changes. Ctrl-C stops it"
    ),
    Flag.withDefault(false)
  ),
  inspect: Flag.Boolean("inspect").pipe(
    Flag.withDescription("Wait for a debugger, and run the plugin in a thread"),
    Flag.withDefault(false)
  ),
  inspectPort: Flag.Int("inspect-port").pipe(
    Flag.withMetavar("PORT"),
    Flag.withDescription("The port of the debugger on 127.0.0.1. Default: 9229"),
    Flag.withDefault(9229)
  ),
  ...specFlags
}

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
    return yield* invalid("Pass --text TEXT or --message FILE, not both")
  if (Option.isNone(file)) return madeUp(Option.getOrElse(text, () => ""))
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
    return yield* invalid("Pass FILE or --plugin NAME, not both")
  if (Option.isNone(plugin)) {
    const spec = specOfFile(Option.getOrElse(file, () => ""))
    return { spec, base: process.cwd(), kindIsKnown: false, file: undefined }
  }
  const workspace = yield* workspaceFolder
  return { ...(yield* specOfName(workspace, plugin.value)), base: workspace, kindIsKnown: true }
})

const document = Effect.fnUntraced(function* (report: RunReport) {
  const { spec, info, text, output, error, logs, times, snippet } = report
  const problem = error === undefined ? undefined : problemHere(error, spec)
  return {
    status: error === undefined ? "ok" : "error",
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

/** The width of stdout, and whether to use colours (https://no-color.org). */
const paper = (): { readonly colours: boolean; readonly columns: number } => ({
  colours: process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "",
  // 0 if the terminal does not know its width.
  columns: process.stdout.columns || Number.POSITIVE_INFINITY
})

type Flags = Command.Command.Config.Infer<typeof flags>

/** Reads the flags and the files that they name. */
const prepare = Effect.fnUntraced(function* (given: Flags) {
  const message = yield* messageOf(given.text, given.message)
  const { spec, base, kindIsKnown, file } = yield* specFor(given)
  return {
    message,
    base,
    kindIsKnown: kindIsKnown || Option.isSome(given.kind),
    spec: yield* withFlags(spec, given),
    configFile: file
  }
})

type Prepared = Effect.Success<ReturnType<typeof prepare>>

/** Runs the plugin and prints the report. */
const runAndShow = Effect.fnUntraced(function* (given: Flags, prepared: Prepared) {
  const report = yield* Effect.scoped(
    reportOf({
      ...prepared,
      repeat: given.repeat,
      inspectPort: given.inspect ? given.inspectPort : undefined
    })
  )
  const json = yield* Json
  // The lines have colours, which `show` would escape.
  yield* json
    ? Effect.flatMap(document(report), (document) => show(document, () => []))
    : Console.log(render(report, paper()).join("\n"))
  if (report.error === undefined) return
  const problem = problemHere(report.error, report.spec)
  return yield* new CommandError({
    reason: json ? problem.message : renderProblem(problem).join("\n"),
    code: report.error._tag
  })
})

/** Files named by flags, which are read again before each run. */
const filesOfFlags = ({ message, config }: Flags, { configFile }: Prepared): ReadonlyArray<string> => [
  ...Option.toArray(message),
  ...Option.toArray(config).flatMap((given) => (given.startsWith("@") ? [given.slice(1)] : [])),
  ...(configFile === undefined ? [] : [configFile])
]

export const pluginRun = Command.make(
  "run",
  flags,
  Effect.fnUntraced(function* (flagged) {
    if (flagged.repeat < 1) return yield* invalid("--repeat takes a whole number from 1")
    if (flagged.inspect && Option.exists(flagged.isolation, (level) => level !== "thread"))
      return yield* invalid("--inspect runs the plugin in a thread; leave --isolation out")
    if (flagged.inspect && flagged.watch)
      return yield* invalid("--inspect and --watch do not go together; leave one out")
    // Read stdin now, because it can be read only once.
    const text = Option.isSome(flagged.text) ? Option.some(yield* textOf(flagged.text.value)) : flagged.text
    const given = { ...flagged, text }
    return yield* given.watch
      ? runOnChanges({
          prepare: prepare(given),
          modulePath: ({ spec }) => spec.modulePath,
          files: (prepared) => filesOfFlags(given, prepared),
          run: (prepared) => runAndShow(given, prepared)
        })
      : Effect.flatMap(prepare(given), (prepared) => runAndShow(given, prepared))
  })
).pipe(
  Command.withDescription("Run a plugin on a text without a hub; show its findings, logs and times"),
  Command.withExamples([
    { command: "agentlip plugin run plugins/hashtags.ts --text 'ready for #release'" },
    { command: "agentlip plugin run --plugin hashtags --text - --watch < message.txt" },
    { command: "agentlip plugin run plugins/hashtags.ts --text '#a' --inspect", description: "Debug it" }
  ])
)
