/** The schemas of the values in a spec's settings. */
import { Duration, Option, Schema, SchemaGetter } from "effect"

/** A time as text or number, as config files have it: milliseconds, or a text such as `"2 seconds"`. */
export type ConfigTime = number | `${number} ${Duration.Unit}`

/** Values of a group of settings; mapped key by key, so that editors show each one's comment. */
export type Values<Fields extends { readonly [key: string]: { readonly Type: unknown } }> = {
  readonly [Key in keyof Fields]: Fields[Key]["Type"]
}

/** The same values as options: all optional, and times in forms that are easy to write. */
export type Given<
  Fields extends { readonly [key: string]: { readonly Type: unknown } },
  Time,
  Absent = never
> = {
  readonly [Key in keyof Fields]?:
    | (Fields[Key]["Type"] extends Duration.Duration ? Time : Fields[Key]["Type"])
    | Absent
}

const parse = (value: unknown): Option.Option<Duration.Duration> =>
  typeof value === "number" || typeof value === "string"
    ? // The type of a duration's text is narrower than what is parsed; any other text gives none.
      Option.filter(Duration.fromInput(value as Duration.Input), Duration.isFinite)
    : Option.none()

const time = (allows: (duration: Duration.Duration) => boolean, expected: string) => {
  const given = Schema.declare((value): value is ConfigTime => Option.exists(parse(value), allows), {
    expected: `${expected}: milliseconds or a text such as "2 seconds"`
  })
  const parsed = Schema.declare(
    (value): value is Duration.Duration =>
      Duration.isDuration(value) && Duration.isFinite(value) && allows(value),
    { expected }
  )
  return given.pipe(
    Schema.decodeTo(parsed, {
      decode: SchemaGetter.transform((value: ConfigTime) =>
        Option.getOrElse(parse(value), () => Duration.zero)
      ),
      encode: SchemaGetter.transform((value: Duration.Duration): ConfigTime => Duration.toMillis(value))
    })
  )
}
export const positiveTime = time(Duration.isPositive, "a time longer than 0")
export const anyTime = time((duration) => !Duration.isNegative(duration), "a time of 0 or more")

export const positive = Schema.declare(
  (value): value is number => typeof value === "number" && Number.isSafeInteger(value) && value > 0,
  { expected: "an integer of at least 1" }
)

export const text = Schema.declare(
  (value): value is string => typeof value === "string" && value.trim().length > 0,
  { expected: "a text that is not blank" }
)

export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isWritable = (value: unknown): boolean => {
  try {
    return JSON.stringify(value) !== undefined
  } catch {
    // Cyclic, with a BigInt, or it throws: not JSON, which is what is asked.
    return false
  }
}

/** An object that can be written as JSON. */
export const jsonObject = Schema.declare(
  (value): value is { readonly [key: string]: unknown } => isObject(value) && isWritable(value),
  { expected: "an object that JSON can hold: plain objects, arrays, strings, numbers" }
)

export const integrity = Schema.declare(
  (value): value is string => typeof value === "string" && /^sha256-[A-Za-z0-9+/]{43}=$/.test(value),
  { expected: '"sha256-" and 44 characters of base64, as `agentlip plugin integrity FILE` prints it' }
)
