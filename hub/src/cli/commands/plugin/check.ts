/** `agentlip plugin check`: checks that plugins load with their config, and prints errors like a compiler. */
import { printableLine } from "@agentlip/plugin-runtime/text"
import {
  type CodePlace,
  type ConfigError,
  type ConfiguredSpec,
  loadConfig,
  PluginRuntime
} from "@agentlip/plugin-runtime"
import { Effect, Option, Result } from "effect"
import { Argument, Command } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import { rightsOf } from "../../../plugins/LoadReport.ts"
import { namedRedactorOf } from "../../../plugins/Secrets.ts"
import { configDefaults } from "../../../plugins/configDefaults.ts"
import { CommandError } from "../../CommandError.ts"
import { runtimeLayer, withItsKind, withLog } from "../../../plugins/DryRun.ts"
import { workspaceFolder } from "../../flags/Globals.ts"
import { counted } from "../../render/counted.ts"
import { documentOf } from "../../render/Errors.ts"
import { show } from "../../render/Output.ts"
import { pathFromHere, placeText, problemHere } from "../../plugins/problemHere.ts"
import { invalid, specFlags, specOfFile, type SpecFlags, withFlags } from "../../flags/SpecFlags.ts"

/** A problem in a file. */
interface Finding {
  /** The plugin's name in the config file. Several entries can use the same file. */
  readonly plugin?: string
  readonly file: string
  readonly code: string
  readonly message: string
  /** May be in another file that this one imports. */
  readonly place?: CodePlace
  /** The file that imports the missing module. */
  readonly importer?: string
  readonly hint?: string
}

/** The result for one plugin. */
interface Checked {
  readonly spec: ConfiguredSpec
  readonly loaded?: { readonly name: string; readonly version: string }
  readonly finding?: Finding
}

/** A spec to check. */
interface Candidate {
  readonly spec: ConfiguredSpec
  readonly configured: boolean
  /** True if the module decides the kind. */
  readonly anyKind: boolean
}

const check = ({ spec, configured, anyKind }: Candidate) =>
  Effect.gen(function* () {
    const asIs = anyKind ? yield* withItsKind(spec) : spec
    const loaded = yield* PluginRuntime.use((runtime) => runtime.load(asIs)).pipe(withLog(() => {}))
    const { text } = namedRedactorOf(asIs)
    const checked: Checked = {
      spec: asIs,
      loaded: { name: text(loaded.name), version: text(loaded.version) }
    }
    return checked
  }).pipe(
    Effect.catch((error) => {
      const { code, message, place, importer, hint } = problemHere(error, spec)
      const more = {
        ...(configured ? { plugin: spec.name } : {}),
        ...(place === undefined ? {} : { place }),
        ...(importer === undefined ? {} : { importer }),
        ...(hint === undefined ? {} : { hint })
      }
      const checked: Checked = { spec, finding: { file: spec.modulePath, code, message, ...more } }
      return Effect.succeed(checked)
    })
  )

const ofConfig = ({ file, problems }: ConfigError): ReadonlyArray<Finding> =>
  problems.map(({ path, problem }) => ({
    file,
    code: "CONFIG_ERROR",
    message: path === "" ? problem : `${path}: ${problem}`
  }))

const realOf = (file: string): string => {
  try {
    return fs.realpathSync(file)
  } catch {
    // The file is missing; loading it reports that.
    return path.resolve(file)
  }
}

/** Uses the config's entries for a file if there are any, otherwise a default spec. */
const candidatesOf = (
  files: ReadonlyArray<string>,
  specs: ReadonlyArray<ConfiguredSpec>,
  flags: SpecFlags
): ReadonlyArray<Candidate> => {
  const ofEntry = (spec: ConfiguredSpec): Candidate => ({ spec, configured: true, anyKind: false })
  if (files.length === 0) return specs.map(ofEntry)
  return files.flatMap((file) => {
    const known = specs.filter(({ modulePath }) => modulePath === realOf(file))
    if (known.length > 0) return known.map(ofEntry)
    return [{ spec: specOfFile(file), configured: false, anyKind: Option.isNone(flags.kind) }]
  })
}

const rendered = ({ plugin, file, code, message, place, hint }: Finding): ReadonlyArray<string> => [
  `${place === undefined ? pathFromHere(file) : placeText(place)} - error ${code}: ${plugin === undefined ? "" : `"${printableLine(plugin)}": `}${message}`,
  ...(place === undefined || place.frame === "" ? [] : ["", ...place.frame.split("\n"), ""]),
  ...(hint === undefined ? [] : [`  Hint: ${hint}`])
]

const okLine = ({ spec, loaded }: Checked): string =>
  `${pathFromHere(spec.modulePath)} - ok ${spec.kind.name} ${printableLine(spec.name)} (${loaded?.name} ${loaded?.version}): ${printableLine(rightsOf(spec))}`

export const pluginCheck = Command.make(
  "check",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("The modules to check. Default: every plugin of agentlip.config.ts"),
      Argument.variadic()
    ),
    ...specFlags
  },
  Effect.fnUntraced(function* ({ files, ...flags }) {
    const workspace = yield* workspaceFolder
    const config = yield* Effect.result(loadConfig(workspace, configDefaults))
    const inConfig = Result.isFailure(config) ? ofConfig(config.failure) : []
    const { file, specs } = Result.getOrElse(config, () => ({ file: "", specs: [] }))
    if (file === undefined && files.length === 0)
      return yield* invalid(`${workspace} has no agentlip.config.ts; name the FILEs to check`)
    const candidates = yield* Effect.forEach(candidatesOf(files, specs, flags), (candidate) =>
      Effect.map(withFlags(candidate.spec, flags), (spec): Candidate => ({ ...candidate, spec }))
    )
    const base = file === undefined ? process.cwd() : workspace
    const checked = yield* Effect.forEach(candidates, check, { concurrency: 4 }).pipe(
      Effect.provide(runtimeLayer(base))
    )
    const findings = [...inConfig, ...checked.flatMap(({ finding }) => finding ?? [])]
    const summary = `${counted(checked.length, "plugin")} checked, ${counted(findings.length, "problem")}`
    const lines = [
      ...inConfig.flatMap(rendered),
      ...checked.flatMap((one) => (one.finding === undefined ? [okLine(one)] : rendered(one.finding))),
      ...(findings.length === 0 ? [summary] : [])
    ]
    const document = {
      ok: findings.length === 0,
      checked: checked.map(({ spec, loaded }) => ({
        name: spec.name,
        kind: spec.kind.name,
        module_path: spec.modulePath,
        calls_itself: loaded ?? null
      })),
      problems: findings
    }
    const error =
      findings.length === 0 ? undefined : new CommandError({ reason: summary, code: "CHECK_FAILED" })
    yield* show({ ...document, ...(error === undefined ? {} : documentOf(error)) }, () => lines)
    if (error !== undefined) return yield* error
  })
).pipe(
  Command.withDescription("Load plugins without running them, and show the problems of each"),
  Command.withExamples([
    { command: "agentlip plugin check", description: "All plugins of the config file" },
    { command: "agentlip plugin check plugins/hashtags.ts" }
  ])
)
