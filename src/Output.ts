/**
 * From a plugin's JSON text to a value that its kind's schema accepts. Sizes are looked at before anything is
 * parsed, shape before anything is decoded; a text that is too long, too deep or too many costs nothing more.
 */
import { Effect, Schema, SchemaIssue } from "effect"
import { InvalidOutput } from "./Errors.ts"
import type { AnyKind, Limits, PluginSpec } from "./Plugin.ts"

const shown = (value: unknown): string => {
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (value === undefined) return "nothing"
  return typeof value === "object" && value !== null ? "an object" : String(value)
}

/** What is wrong with the shape of parsed JSON, whatever the kind. Walks without recursion. */
const shapeIssue = (value: unknown, limits: Limits): string | undefined => {
  if (Array.isArray(value) && value.length > limits.outputItems) {
    return `expected at most ${limits.outputItems} items (limits.outputItems), got ${value.length}`
  }
  let level: Array<object> = typeof value === "object" && value !== null ? [value] : []
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limits.outputDepth)
      return `expected at most ${limits.outputDepth} levels of nesting (limits.outputDepth), got more`
    const next: Array<object> = []
    for (const parent of level) {
      if (Object.hasOwn(parent, "__proto__")) return 'expected no key "__proto__", got one'
      for (const child of Object.values(parent))
        if (typeof child === "object" && child !== null) next.push(child)
    }
    level = next
  }
  return undefined
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "MissingKey" ? "a value" : SchemaIssue.defaultLeafHook(issue))
})

const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`
    const name = String(key)
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${text}[${shown(name)}]`
    return text === "" ? name : `${text}.${name}`
  }, "")

/** A schema's refusal of `value`: where, what was expected and what came. */
const refusal = (value: unknown, error: Schema.SchemaError): string => {
  const first = issuesOf(error.issue).issues[0]
  const path = (first?.path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment))
  let found = value
  for (const key of path) {
    found =
      typeof found === "object" && found !== null && Object.hasOwn(found, key)
        ? Reflect.get(found, key)
        : undefined
  }
  const message = first?.message ?? "another value"
  const expected = message.replace(/^expected /i, "")
  const where = path.length === 0 ? "" : `${pathText(path)}: `
  // A rule that knows better what came says so itself.
  return `${where}expected ${expected}${expected.includes(", got ") ? "" : `, got ${shown(found)}`}`
}

/** Nothing in a plugin's text may move a cursor, turn the direction of writing or break a line. */
const plain = (text: string): string =>
  text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)

const maxIssue = 1_000

const decoders = new WeakMap<AnyKind, (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>>()
const decoderOf = (kind: AnyKind): ((value: unknown) => Effect.Effect<unknown, Schema.SchemaError>) => {
  const known = decoders.get(kind)
  if (known !== undefined) return known
  const decode = Schema.decodeUnknownEffect(kind.output)
  decoders.set(kind, decode)
  return decode
}

/** Decodes a plugin's answer to `input`, or says what is wrong with it. */
export const decodeOutput = <Input, Output>(
  spec: PluginSpec,
  input: Input,
  text: string
): Effect.Effect<Output, InvalidOutput> => {
  const invalid = (issue: string): Effect.Effect<never, InvalidOutput> =>
    Effect.fail(new InvalidOutput({ plugin: spec.name, issue: plain(issue.slice(0, maxIssue)) }))
  if (text.length > spec.limits.outputLength) {
    return invalid(
      `expected at most ${spec.limits.outputLength} characters of JSON (limits.outputLength), got ${text.length}`
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return invalid(`expected JSON, got ${shown(text)}`)
  }
  const issue = shapeIssue(value, spec.limits)
  if (issue !== undefined) return invalid(issue)
  return decoderOf(spec.kind)(value).pipe(
    Effect.matchEffect({
      onFailure: (error) => invalid(refusal(value, error)),
      onSuccess: (output) => {
        const problem = spec.kind.check?.(output, input)
        // The spec's kind has just decoded it: this is where `unknown` becomes the kind's output.
        return problem === undefined ? Effect.succeed(output as Output) : invalid(problem)
      }
    })
  )
}
