/** Specs. A *spec* is one configured plugin of a kind; the type of its output follows from the kind. */
import { Duration, Option, Result, Schema } from "effect"
import type { ConfigProblem } from "./ConfigError.ts"
import type { CodePlace } from "./Errors.ts"
import type { AnyKind, PluginKind } from "./PluginKinds.ts"
import { problemsOf } from "./spec/problems.ts"
import {
  type breaker,
  contradictions,
  type limits,
  type optionalLimits,
  type optionalSettings,
  Settings,
  type settings
} from "./spec/settings.ts"
import { type Given, isObject, text, type Values } from "./spec/values.ts"

/** When a plugin's circuit opens, and for how long. */
export interface BreakerPolicy extends Values<typeof breaker> {}

/** The limits of a run. Every limit is enforced. */
export interface Limits extends Values<typeof limits>, Partial<Values<typeof optionalLimits>> {}

/** The settings of a configured plugin. */
export interface PluginSettings extends Values<typeof settings>, Partial<Values<typeof optionalSettings>> {
  readonly limits: Limits
  /** What differs from the hub's breaker policy. */
  readonly breaker: Partial<BreakerPolicy>
}

/** One configured plugin. */
export interface PluginSpec<Kind extends AnyKind = AnyKind> extends PluginSettings {
  /** Unique in a hub. Names the circuit, the logs and the rows. */
  readonly name: string
  readonly kind: Kind
  /** Absolute path of the module. */
  readonly modulePath: string
  /**
   * Why the module could not be found when the spec was made: each run and load fails with this as a `LOAD_ERROR`.
   * `loadConfig` sets it if the package that a `modulePath` names is broken.
   */
  readonly unresolved?: { readonly reason: string; readonly place?: CodePlace }
}

type GivenInCode<Fields extends { readonly [key: string]: { readonly Type: unknown } }> = Given<
  Fields,
  Duration.Input,
  undefined
>

/** The settings of a plugin as code gives them. Settings that are left out have their defaults. */
export interface PluginSettingsOptions
  extends GivenInCode<typeof settings>,
    GivenInCode<typeof optionalSettings> {
  readonly limits?: GivenInCode<typeof limits & typeof optionalLimits> | undefined
  readonly breaker?: GivenInCode<typeof breaker> | undefined
}

/** The options of `makeSpec`: name, kind and module path. All others have defaults. */
export interface PluginSpecOptions<Kind extends AnyKind> extends PluginSettingsOptions {
  readonly name: string
  readonly kind: Kind
  readonly modulePath: string
}

/** The default settings of a spec. */
export const defaultSettings: PluginSettings = Settings.make({})

export const defaultLimits: Limits = defaultSettings.limits

/** Adds the values that are given, except `undefined`, to the defaults. */
const withDefaults = <A extends object>(defaults: A, given: unknown): A =>
  // A caller without types may give anything. It is kept as it is, and `specProblems` reports it.
  (isObject(given)
    ? { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
    : given) as A

/** A time of any form. Any other value is kept as it is, and `specProblems` reports it. */
const timeOf = (given: Duration.Input): Duration.Duration =>
  Option.getOrElse(Duration.fromInput(given), () => given as Duration.Duration)

/**
 * Makes a spec and fills in the defaults. Never throws: an invalid value or an unknown key is a `LOAD_ERROR` of the
 * plugin's runs, and `specProblems` lists all of them.
 *
 * @example
 * ```ts
 * const urls = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/plugins/urls.ts", timeout: "2 seconds" })
 * ```
 */
export const makeSpec = <Kind extends AnyKind>({
  name,
  kind,
  modulePath,
  timeout = defaultSettings.timeout,
  grace = defaultSettings.grace,
  limits = {},
  breaker = {},
  ...settings
}: PluginSpecOptions<Kind>): PluginSpec<Kind> => {
  const policy = withDefaults<object>({}, breaker)
  return {
    ...withDefaults(defaultSettings, settings),
    name,
    kind,
    modulePath,
    timeout: timeOf(timeout),
    grace: timeOf(grace),
    limits: withDefaults(defaultLimits, limits),
    breaker: breaker?.cooldown === undefined ? policy : { ...policy, cooldown: timeOf(breaker.cooldown) }
  }
}

/** A spec as a schema, without its kind, which is code. Decodes the settings of a config file to those of a spec. */
export const PluginSpec = Schema.Struct({ name: text, modulePath: text, ...Settings.fields })

const decodeSpec = Schema.decodeUnknownResult(
  Schema.toType(Schema.Struct({ ...PluginSpec.fields, kind: Schema.Unknown })),
  { errors: "all", onExcessProperty: "error" }
)

/** All problems of a spec that was made in code, each with its place. */
export const specProblems = (given: PluginSpec): ReadonlyArray<ConfigProblem> => {
  const { unresolved: _, ...spec } = given
  const decoded = decodeSpec(spec)
  return [
    ...(Result.isFailure(decoded) ? problemsOf(spec, decoded.failure.issue) : []),
    ...contradictions(spec)
  ]
}

// oxlint-disable typescript/no-explicit-any -- matched, never used: the kind's parameters go both ways
type KindInput<Kind> = Kind extends PluginKind<string, infer Input, any> ? Input : never
type KindOutput<Kind> = Kind extends PluginKind<string, any, infer Output> ? Output : never
// oxlint-enable typescript/no-explicit-any

/** The input of a spec's plugin. */
export type InputOf<Spec extends PluginSpec> = KindInput<Spec["kind"]>

/** The validated output of a spec's plugin. */
export type OutputOf<Spec extends PluginSpec> = KindOutput<Spec["kind"]>
