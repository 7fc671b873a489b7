/**
 * From a plugin's JSON text to a value that its kind's schema accepts. Sizes are looked at before anything is
 * parsed, shape before anything is decoded; a text that is too long, too deep or too many costs nothing more.
 */
import { Effect, Schema } from "effect"
import { InvalidOutput } from "./Errors.ts"
import type { AnyKind, Limits, PluginSpec } from "./Plugin.ts"

const shown = (value: unknown): string => {
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
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
      return `expected at most ${limits.outputDepth} levels of nesting (limits.outputDepth)`
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

/** The value at an issue's path (`at [0]["span"]`), so that the message can say what came. */
const came = (value: unknown, message: string): string => {
  const path = /\n\s*at ((?:\[[^\]]*\])+)\s*$/.exec(message)?.[1]
  let found = value
  for (const [, key] of (path ?? "").matchAll(/\[([^\]]*)\]/g)) {
    if (typeof found !== "object" || found === null) break
    found = Reflect.get(found, key?.startsWith('"') ? String(JSON.parse(key)) : (key ?? ""))
  }
  const expected = message.slice(0, message.length - (path === undefined ? 0 : path.length + 4)).trim()
  const where = (path ?? "").replace(/\["(\w+)"\]/g, ".$1").replace(/^\./, "")
  return `${where === "" ? "" : `${where}: `}${/^expected/i.test(expected) ? expected : `expected ${expected}`}, got ${shown(found)}`
}

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
    Effect.fail(new InvalidOutput({ plugin: spec.name, issue: issue.slice(0, maxIssue) }))
  if (text.length > spec.limits.outputLength) {
    return invalid(
      `expected at most ${spec.limits.outputLength} characters of JSON (limits.outputLength), got ${text.length}`
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return invalid("expected JSON")
  }
  const issue = shapeIssue(value, spec.limits)
  if (issue !== undefined) return invalid(issue)
  return decoderOf(spec.kind)(value).pipe(
    Effect.matchEffect({
      onFailure: (error) => invalid(came(value, error.message)),
      onSuccess: (output) => {
        const problem = spec.kind.check?.(output, input)
        // The spec's kind has just decoded it: this is where `unknown` becomes the kind's output.
        return problem === undefined ? Effect.succeed(output as Output) : invalid(problem)
      }
    })
  )
}
