/** Builds the spec of one plugin from flags and its entry in the config file. */
import {
  type ConfiguredSpec,
  defaultSettings,
  extractor,
  type Grants,
  type IsolationLevel,
  linkifier,
  loadConfig,
  makeSpec,
  PluginSpec
} from "@agentlip/plugin-runtime"
import { Duration, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import { configDefaults } from "../../plugins/configDefaults.ts"
import { CommandError, fromError } from "../CommandError.ts"

export const invalid = (reason: string): CommandError => new CommandError({ reason, code: "INVALID_INPUT" })

const paths = (name: string, does: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("PATH"),
    Flag.withDescription(`Grant: a file or folder to ${does}; may be repeated`),
    Flag.atLeast(0)
  )

const { fields } = PluginSpec

/** The description of a setting, from its declaration in `PluginSpec`. */
const describe = (setting: Schema.Constraint): string =>
  (Schema.resolveAnnotationsKey(setting)?.description ?? "").replace(/[`"]/g, "")

/** A flag for a setting that allows certain words. */
const oneOf = <const Words extends ReadonlyArray<string>>(
  name: string,
  setting: Schema.withConstructorDefault<Schema.Literals<Words>>,
  initial: string
) =>
  Flag.Literals(name, setting.schema.literals).pipe(
    Flag.withDescription(`${describe(setting)}. Default: ${initial}`),
    Flag.optional
  )

export const specFlags = {
  kind: Flag.Literals("kind", [linkifier.name, extractor.name]).pipe(
    Flag.withDescription("What it is, if its module has the methods of both"),
    Flag.optional
  ),
  config: Flag.String("config").pipe(
    Flag.withMetavar("JSON"),
    Flag.withDescription("What it gets as `config`: a JSON object, or @FILE that holds one"),
    Flag.optional
  ),
  isolation: oneOf("isolation", fields.isolation, "process, as in a hub"),
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(
      `${describe(fields.timeout)}: milliseconds, or a text such as "2 seconds". Default: ${Duration.toSeconds(defaultSettings.timeout)} seconds`
    ),
    Flag.optional
  ),
  read: paths("allow-read", "read"),
  write: paths("allow-write", "write"),
  net: Flag.String("allow-net").pipe(
    Flag.withMetavar("HOST"),
    Flag.withDescription("Grant: a host to fetch from, such as api.example.com; may be repeated"),
    Flag.atLeast(0)
  ),
  env: Flag.String("allow-env").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("Grant: an environment variable to see; may be repeated"),
    Flag.atLeast(0)
  ),
  enforcement: oneOf("enforcement", fields.enforcement, defaultSettings.enforcement)
}

/** The values of these flags. */
export interface SpecFlags {
  readonly kind: Option.Option<ConfiguredSpec["kind"]["name"]>
  readonly config: Option.Option<string>
  readonly isolation: Option.Option<IsolationLevel>
  readonly timeout: Option.Option<string>
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
  readonly net: ReadonlyArray<string>
  readonly env: ReadonlyArray<string>
  readonly enforcement: Option.Option<ConfiguredSpec["enforcement"]>
}

/** Reads a file, or fails with the reason. */
export const fileText = (file: string) =>
  Effect.try({
    try: () => fs.readFileSync(file, "utf8"),
    catch: (error) =>
      invalid(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  })

const JsonObject = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const configOf = Effect.fnUntraced(function* (given: string) {
  const text = given.startsWith("@") ? yield* fileText(given.slice(1)) : given
  return yield* Effect.mapError(Schema.decodeEffect(JsonObject)(text), ({ message }) =>
    invalid(`--config takes a JSON object, or @FILE that holds one: ${message}`)
  )
})

const decodeTimeout = Schema.decodeUnknownEffect(fields.timeout)

const timeoutOf = (given: string) =>
  Effect.mapError(decodeTimeout(/^\d+$/.test(given) ? Number(given) : given), ({ message }) =>
    invalid(`--timeout: ${message.replace(/^Expected/, "expected")}, got ${JSON.stringify(given)}`)
  )

const grantsOf = ({ read, write, net, env }: SpecFlags): Grants => ({
  ...(read.length === 0 ? {} : { read: read.map((file) => path.resolve(file)) }),
  ...(write.length === 0 ? {} : { write: write.map((file) => path.resolve(file)) }),
  ...(net.length === 0 ? {} : { net }),
  ...(env.length === 0 ? {} : { env })
})

/** Overrides a spec with flags. Grants are added to those of the spec. */
export const withFlags = Effect.fnUntraced(function* (spec: ConfiguredSpec, flags: SpecFlags) {
  const granted = grantsOf(flags)
  const both = (kind: keyof Grants): Grants => {
    const all = [...(spec.grants[kind] ?? []), ...(granted[kind] ?? [])]
    return all.length === 0 ? {} : { [kind]: all }
  }
  const config = Option.isSome(flags.config) ? yield* configOf(flags.config.value) : spec.config
  const timeout = Option.isSome(flags.timeout) ? yield* timeoutOf(flags.timeout.value) : spec.timeout
  const told = {
    config,
    timeout,
    isolation: Option.getOrElse(flags.isolation, () => spec.isolation),
    enforcement: Option.getOrElse(flags.enforcement, () => spec.enforcement),
    grants: { ...both("read"), ...both("write"), ...both("net"), ...both("env") }
  }
  const changed: ConfiguredSpec =
    Option.getOrElse(flags.kind, () => spec.kind.name) === extractor.name
      ? { ...spec, kind: extractor, ...told }
      : { ...spec, kind: linkifier, ...told }
  return changed
})

/** The default spec of a module that no config file names. */
export const specOfFile = (file: string): ConfiguredSpec =>
  makeSpec({
    name: path.basename(file).replace(/\.[^.]+$/, ""),
    kind: linkifier,
    modulePath: path.resolve(file),
    isolation: "process"
  })

/** The entry with this name, and the config file that contains it. */
export const specOfName = Effect.fnUntraced(function* (workspace: string, name: string) {
  const { file, specs, disabled } = yield* Effect.mapError(loadConfig(workspace, configDefaults), fromError)
  const spec = specs.find((spec) => spec.name === name)
  if (spec !== undefined) return { spec, file }
  if (file === undefined) return yield* invalid(`${workspace} has no agentlip.config.ts; name a file instead`)
  if (disabled.includes(name))
    return yield* invalid(`"${name}" has enabled: false in ${file}; remove that, or name its file`)
  const names = specs.map(({ name }) => `"${name}"`).join(", ")
  return yield* invalid(`${file} has no plugin "${name}"; it has ${names || "none"}`)
})
