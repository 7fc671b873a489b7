/** Checks that the config is valid, that its plugins load, and which isolation levels work on this machine. */
import {
  type ConfiguredSpec,
  linkifier,
  loadConfig,
  makeSpec,
  type PluginError
} from "@agentlip/plugin-runtime"
import { Effect, Logger, Result } from "effect"
import { fileURLToPath } from "node:url"
import * as Hub from "../../../Hub.ts"
import { configDefaults } from "../../../plugins/configDefaults.ts"
import * as LoadReport from "../../../plugins/LoadReport.ts"
import { namedRedactorOf } from "../../../plugins/Secrets.ts"
import { calledAs, commandFor } from "../../calledAs.ts"
import { shellWord } from "../../render/shellWord.ts"
import { type Check, checkOf } from "./Check.ts"

const probeFile = fileURLToPath(
  new URL(`./probe.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)
)

const probe = (isolation: "process" | "wasm" | "thread", sandbox: "none" | "bubblewrap") =>
  makeSpec({
    name: sandbox === "none" ? isolation : sandbox,
    kind: linkifier,
    modulePath: probeFile,
    isolation,
    ...(isolation === "process" ? { sandbox } : {})
  })

/** Test whether each level works here. A missing level affects only the plugins that use it. */
const probes = [
  probe("process", "none"),
  probe("process", "bubblewrap"),
  probe("wasm", "none"),
  probe("thread", "none")
]

const why = (failure: PluginError): string => ("reason" in failure ? failure.reason : failure.message)

const level = ({ spec, result }: LoadReport.LoadResult): Check => {
  const { ok, warning } = checkOf(
    spec.name === "bubblewrap" ? "sandbox bubblewrap" : `isolation ${spec.name}`
  )
  return Result.isSuccess(result)
    ? ok("works")
    : warning(why(result.failure), "only plugins that ask for it need it")
}

const plugin = ({ spec, result }: LoadReport.LoadResult): Check => {
  const { ok, problem } = checkOf(`plugin ${spec.name}`)
  const { text } = namedRedactorOf(spec)
  return Result.isSuccess(result)
    ? ok(`${text(result.success.name)} ${text(result.success.version)} loads, on isolation ${spec.isolation}`)
    : problem(
        `${result.failure._tag}: ${text(why(result.failure))}`,
        `${calledAs()} plugin check ${shellWord(spec.modulePath)}`
      )
}

/** Loads plugins as a hub does, in isolates that end afterwards. */
const load = (workspace: string, specs: ReadonlyArray<ConfiguredSpec>) =>
  LoadReport.loadAll(specs).pipe(
    Effect.provide(Hub.pluginsLayer({ workspace, plugins: specs })),
    Effect.provideService(Logger.CurrentLoggers, new Set())
  )

export const pluginChecks = Effect.fnUntraced(function* (workspace: string) {
  const { ok, warning, problem } = checkOf("config")
  const levels = (yield* load(workspace, probes)).map(level)
  const config = yield* Effect.result(loadConfig(workspace, configDefaults))
  if (Result.isFailure(config)) return [...levels, problem(config.failure.message, "correct the file")]
  const { file, specs, readAuth, notice } = config.success
  if (file === undefined) {
    return [
      ...levels,
      warning(
        `${workspace} has no agentlip.config.ts, so its hub runs no plugins`,
        `create one: ${commandFor(workspace, "init")}`
      )
    ]
  }
  const plugins = (yield* load(workspace, specs)).map(plugin)
  const found =
    notice === undefined
      ? ok(readAuth ? `${file}, with readAuth: reads need the token` : file)
      : warning(`${file} has the form of Agentlip v1`, notice)
  return [...levels, found, ...plugins]
})
