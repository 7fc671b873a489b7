/**
 * Removes secrets from texts that are shown without the token: errors, logs, reports, events. Secrets are the values
 * that plugins are given, and those in the config and the environment.
 *
 * **Details**
 *
 * - From texts of a plugin, it removes every text in the plugin's config and the values of the environment variables
 *   granted to it.
 * - From all texts, it removes the values of environment variables that are granted to any plugin or have a name such
 *   as `API_KEY`, and config values under such a name.
 * - It also finds secrets in base64, hex, percent-encoding, JSON escapes and any letter case.
 * - It protects against accidents. A plugin that wants to leak a secret can use another encoding.
 */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { Cause, Context, Effect, Layer, Logger, References, type Schema } from "effect"
import { formsOf } from "./secretForms.ts"

/** Shorter texts are not treated as secrets, because they would be found everywhere. */
const shortest = 8

type Environment = { readonly [name: string]: string | undefined }
type Confidant = Pick<ConfiguredSpec, "config" | "grants">

/** Removes secrets from a text, or from every text in a JSON value. */
export interface Redactor {
  readonly text: (text: string) => string
  readonly json: (json: Schema.Json) => Schema.Json
}

interface Secret {
  readonly secret: string
  /** The text that replaces it. */
  readonly label: string
}

/** Names of values that are secret. */
const secretName =
  /secret|token|passw|pwd|credential|auth|(?:api|access|private|signing|encryption)[_-]?key|^key$|_key$|dsn$|^AGENTLIP_(?:DATABASE|REDIS)$/i

/** The current folder and the one before, in shells. In any other case, the name may be that of a password. */
const folderName = /^(?:OLD)?PWD$/

interface Found {
  readonly text: string
  /** The key of the text in the nearest object. */
  readonly key: string
}

const textsIn = (value: unknown, key = ""): ReadonlyArray<Found> => {
  if (typeof value === "string") return [{ text: value, key }]
  if (Array.isArray(value)) return value.flatMap((item) => textsIn(item, key))
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, item]) => textsIn(item, name))
    : []
}

/** A text with several lines, such as a PEM key, may appear one line at a time, so each line counts too. */
const partsOf = (text: string): ReadonlyArray<string> =>
  [text, text.trim(), ...(text.includes("\n") ? text.split(/\r?\n/).map((line) => line.trim()) : [])].filter(
    (part) => part.length >= shortest
  )

const secretsOf = (text: string, label: string): ReadonlyArray<Secret> =>
  partsOf(text).map((secret) => ({ secret, label }))

const ofEnvironment = (names: Iterable<string>, environment: Environment): ReadonlyArray<Secret> =>
  [...names].flatMap((name) => secretsOf(environment[name] ?? "", `[env ${name}]`))

const ofConfig = (config: unknown, holds: (found: Found) => boolean): ReadonlyArray<Secret> =>
  textsIn(config)
    .filter(holds)
    .flatMap(({ text }) => secretsOf(text, "[config]"))

/** Every secret that a plugin is given. */
const toldTo = ({ config, grants }: Confidant, environment: Environment): ReadonlyArray<Secret> => [
  ...ofConfig(config, () => true),
  ...ofEnvironment(grants.env ?? [], environment)
]

/** The secrets of a plugin that its config names as such, and its granted variables. */
const namedIn = ({ config, grants }: Confidant, environment: Environment): ReadonlyArray<Secret> => [
  ...ofConfig(config, ({ key }) => secretName.test(key)),
  ...ofEnvironment(grants.env ?? [], environment)
]

const withEverything = (value: Schema.Json, change: (text: string) => string): Schema.Json => {
  if (typeof value === "string") return change(value)
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((item: Schema.Json) => withEverything(item, change))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [change(key), withEverything(item, change)])
  )
}

/** Maps each secret to the text that replaces it. */
type Labels = Map<string, string>

/** Adds secrets. A secret that has a label keeps it. */
const labelled = (secrets: ReadonlyArray<Secret>, labels: Labels = new Map()): Labels => {
  for (const { secret, label } of secrets) if (!labels.has(secret)) labels.set(secret, label)
  return labels
}

const makeRedactor = (secrets: Labels): Redactor => {
  const labels = labelled(
    Array.from(secrets).flatMap(([secret, label]) =>
      formsOf(secret).map((form) => ({ secret: form.toLowerCase(), label }))
    )
  )
  const searched = [...labels].toSorted(([one], [other]) => other.length - one.length)
  const text = (given: string): string => {
    let clean = given
    let folded = given.toLowerCase()
    for (const [form, label] of searched) {
      if (!folded.includes(form)) continue
      clean = clean.replaceAll(new RegExp(RegExp.escape(form), "giu"), () => label)
      folded = clean.toLowerCase()
    }
    return clean
  }
  return { text, json: (json) => withEverything(json, text) }
}

/** For texts of one plugin. `environment` defaults to `process.env`. */
export const redactorOf = (spec: Confidant, environment: Environment = process.env): Redactor =>
  makeRedactor(labelled(toldTo(spec, environment)))

/** Like `redactorOf`, for authors who try out their own plugin: config values that are not secret stay visible. */
export const namedRedactorOf = (spec: Confidant, environment: Environment = process.env): Redactor =>
  makeRedactor(labelled(namedIn(spec, environment)))

/** Returns a function that removes a plugin's secrets from a JSON value. */
export const withoutSecrets = (
  spec: Confidant,
  environment: Environment = process.env
): ((json: Schema.Json) => Schema.Json) => redactorOf(spec, environment).json

/** The secrets that the running hub must not show. */
export class Secrets extends Context.Service<
  Secrets,
  {
    /** Call it before a plugin is loaded. Earlier secrets are kept, because an old key may still be in use. */
    readonly learn: (specs: ReadonlyArray<ConfiguredSpec>) => void
    /** For texts of the plugin with this name. */
    readonly of: (plugin: string) => Redactor
    /** For texts about the config file, which may contain any of its values. */
    readonly config: () => Redactor
    /** For the hub's own texts. */
    readonly hub: () => Redactor
  }
>()("@agentlip/hub/Secrets") {
  static readonly layer = (
    initial: ReadonlyArray<ConfiguredSpec> = [],
    environment: Environment = process.env
  ): Layer.Layer<Secrets> =>
    Layer.sync(Secrets, () => {
      const names = Object.keys(environment).filter((name) => secretName.test(name) && !folderName.test(name))
      const named = labelled(ofEnvironment(names, environment))
      const told = new Map<string, Labels>()
      const redactors = new Map<string, Redactor>()
      let hub: Redactor | undefined
      let config: Redactor | undefined
      const learn = (specs: ReadonlyArray<ConfiguredSpec>): void => {
        for (const spec of specs) {
          told.set(spec.name, labelled(toldTo(spec, environment), told.get(spec.name)))
          labelled(namedIn(spec, environment), named)
        }
        redactors.clear()
        hub = undefined
        config = undefined
      }
      learn(initial)
      return Secrets.of({
        learn,
        of: (plugin) => {
          const known =
            redactors.get(plugin) ?? makeRedactor(new Map([...named, ...(told.get(plugin) ?? [])]))
          redactors.set(plugin, known)
          return known
        },
        config: () =>
          (config ??= makeRedactor(
            new Map([...named, ...Array.from(told.values()).flatMap((labels) => [...labels])])
          )),
        hub: () => (hub ??= makeRedactor(named))
      })
    })
}

const isText = (value: unknown): value is string => typeof value === "string"

const redactMessage = (message: unknown, { text }: Redactor): unknown =>
  Array.isArray(message)
    ? message.map((part: unknown) => (isText(part) ? text(part) : part))
    : isText(message)
      ? text(message)
      : message

/** Returns the cause unchanged unless it contains a secret. */
const redactCause = (cause: Cause.Cause<unknown>, { text }: Redactor): Cause.Cause<unknown> => {
  if (cause.reasons.length === 0) return cause
  const pretty = Cause.pretty(cause)
  const clean = text(pretty)
  return clean === pretty ? cause : Cause.die(clean)
}

const pluginOf = (annotations: Readonly<Record<string, unknown>>): string | undefined => {
  const { plugin } = annotations
  return isText(plugin) ? plugin : undefined
}

/**
 * Redacts everything that is logged below this layer: with the secrets of the plugin in the log annotations, or else
 * the hub's.
 */
export const logLayer: Layer.Layer<never, never, Secrets> = Layer.effect(
  Logger.CurrentLoggers,
  Effect.gen(function* () {
    const secrets = yield* Secrets
    const loggers = yield* Logger.CurrentLoggers
    return new Set(
      Array.from(loggers, (logger) =>
        Logger.make<unknown, unknown>((options) => {
          const plugin = pluginOf(options.fiber.getRef(References.CurrentLogAnnotations))
          const redactor = plugin === undefined ? secrets.hub() : secrets.of(plugin)
          return logger.log({
            ...options,
            message: redactMessage(options.message, redactor),
            cause: redactCause(options.cause, redactor)
          })
        })
      )
    )
  })
)
