/**
 * What plugins were told in confidence, and what the config and the environment hold, taken out of texts that are shown
 * without the token: errors, logs, reports, events.
 *
 * **Details**
 *
 * - Of a plugin's own texts, all that its config says and the values of the variables that it is granted are taken out.
 * - Of other texts, values of variables that are granted to some plugin or have a name such as `API_KEY`, and values of
 *   configs under such a name.
 * - In base64, hex, percent-encoding, JSON escapes and any case they are found too.
 * - It guards against accidents. A plugin that wants to tell what it knows finds an encoding that is not listed.
 */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { Cause, Context, Effect, Layer, Logger, References, type Schema } from "effect"
import { formsOf } from "./secretForms.ts"

/** Shorter texts are no secrets, and would be found everywhere. */
const shortest = 8

type Environment = { readonly [name: string]: string | undefined }
type Confidant = Pick<ConfiguredSpec, "config" | "grants">

/** Takes secrets out of a text, or out of every text of a JSON value. */
export interface Redactor {
  readonly text: (text: string) => string
  readonly json: (json: Schema.Json) => Schema.Json
}

interface Secret {
  readonly secret: string
  /** What stands in its place. */
  readonly label: string
}

/** Names of what is kept from others. */
const secretName =
  /secret|token|passw|pwd|credential|auth|(?:api|access|private|signing|encryption)[_-]?key|^key$|_key$|dsn$|^AGENTLIP_(?:DATABASE|REDIS)$/i

interface Found {
  readonly text: string
  /** The key that it is under, of the nearest object. */
  readonly key: string
}

const textsIn = (value: unknown, key = ""): ReadonlyArray<Found> => {
  if (typeof value === "string") return [{ text: value, key }]
  if (Array.isArray(value)) return value.flatMap((item) => textsIn(item, key))
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, item]) => textsIn(item, name))
    : []
}

/** A text of several lines, such as a key in PEM, may come a line at a time. */
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

/** Everything that a plugin was told. */
const toldTo = ({ config, grants }: Confidant, environment: Environment): ReadonlyArray<Secret> => [
  ...ofConfig(config, () => true),
  ...ofEnvironment(grants.env ?? [], environment)
]

/** What of it is a secret by its name, and what it is granted. */
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

/** What stands in the place of each secret. */
type Labels = Map<string, string>

/** The first label of a secret stays. */
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

/** For texts of one plugin. `environment` is by default the process's. */
export const redactorOf = (spec: Confidant, environment: Environment = process.env): Redactor =>
  makeRedactor(labelled(toldTo(spec, environment)))

/** The same for people who try out a plugin of theirs: what its config says apart from secrets is shown. */
export const namedRedactorOf = (spec: Confidant, environment: Environment = process.env): Redactor =>
  makeRedactor(labelled(namedIn(spec, environment)))

/** A function that takes what a plugin was told out of a JSON value. */
export const withoutSecrets = (
  spec: Confidant,
  environment: Environment = process.env
): ((json: Schema.Json) => Schema.Json) => redactorOf(spec, environment).json

/** What a hub has told its plugins since it started, and what else it must not show. */
export class Secrets extends Context.Service<
  Secrets,
  {
    /** Before a plugin is loaded with it. What was known stays known: an old key may still be in use. */
    readonly learn: (specs: ReadonlyArray<ConfiguredSpec>) => void
    /** For texts of the plugin of this name. */
    readonly of: (plugin: string) => Redactor
    /** For texts of the config file, which can hold all that it says. */
    readonly config: () => Redactor
    /** For texts of the hub. */
    readonly hub: () => Redactor
  }
>()("@agentlip/hub/Secrets") {
  static readonly layer = (
    initial: ReadonlyArray<ConfiguredSpec> = [],
    environment: Environment = process.env
  ): Layer.Layer<Secrets> =>
    Layer.sync(Secrets, () => {
      const names = Object.keys(environment).filter((name) => secretName.test(name))
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

/** A cause keeps its form unless there is a secret in it. */
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

/** Whatever is logged below this layer is redacted: by the plugin that it is annotated with, or by all. */
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
