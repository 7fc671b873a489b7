/**
 * From a plugin's JSON text to a value that its kind's schema accepts. Sizes are looked at before anything is
 * parsed, shape before anything is decoded; a text that is too long, too deep or too many costs nothing more.
 */
import { Effect, type Schema, SchemaAST, SchemaIssue, SchemaParser } from "effect"
import { InvalidOutput } from "./Errors.ts"
import { successOf } from "./exits.ts"
import { jsonSize } from "./jsonSize.ts"
import { maxPath, shapeIssue, tooDeep, tooMany, tooManyItems } from "./output/shape.ts"
import type { AnyKind, Limits, PluginSpec } from "./Plugin.ts"
import { pathText, printableLine, shortened, shown } from "./text.ts"

/** A text longer than this is measured before it is parsed, parsed in one turn and looked at in the next. */
const longText = 64 * 1024

/** What a text says of itself before it is parsed. */
const sizeIssue = (text: string, limits: Limits): string | undefined => {
  if (text.length > limits.outputLength) {
    return `expected at most ${limits.outputLength} characters of JSON (limits.outputLength), got ${text.length}`
  }
  // JSON.stringify escapes halves of pairs; a text that has some was not made by it.
  if (!text.isWellFormed()) return "expected JSON in well-formed Unicode, got half a surrogate pair"
  // Whatever a short one holds costs little to parse, and its values are counted then.
  if (text.length <= longText) return undefined
  const size = jsonSize(text, { values: limits.outputValues, depth: limits.outputDepth })
  if (size.depth > limits.outputDepth) return tooDeep(limits)
  // Many items have many values: to be told of those first would send an author to the wrong limit.
  if (text[0] === "[" && size.items > limits.outputItems) return tooManyItems(limits, "more")
  return size.values > limits.outputValues ? tooMany(limits) : undefined
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "MissingKey" ? "a value" : SchemaIssue.defaultLeafHook(issue))
})

/** The most of what was expected that an issue repeats. */
const maxExpected = 500

/** A schema's refusal of `value`, or of a list's part: where, what was expected and what came. */
const refusal = (value: unknown, issue: SchemaIssue.Issue, itemsBefore: number): string => {
  const first = issuesOf(issue).issues[0]
  const path = (first?.path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment))
  let found = value
  for (const key of path) {
    found =
      typeof found === "object" && found !== null && Object.hasOwn(found, key)
        ? Reflect.get(found, key)
        : undefined
  }
  const message = first?.message ?? "another value"
  const expected = shortened(message.replace(/^expected /i, ""), maxExpected)
  const [item, ...inner] = path
  const at = typeof item === "number" ? [item + itemsBefore, ...inner] : path
  const where = at.length === 0 ? "" : `${shortened(pathText(at), maxPath)}: `
  // A rule that knows better what came says so itself.
  const got = expected.includes(", got ") ? "" : `, got ${found === undefined ? "nothing" : shown(found)}`
  return `${where}expected ${expected}${got}`
}

const maxIssue = 1_000

/** Decodes a whole output, or fails with what is wrong with it. */
type Decode = (value: unknown) => Effect.Effect<unknown, string>

/** So many items are decoded without a look at the clock. */
const itemsAtOnce = 100

/** For so long, in milliseconds, before others have their turn on the event loop. */
const turn = 5

/** Whether a list of such outputs decodes as its parts do. */
const isPlainList = ({ ast }: Schema.Top): boolean =>
  SchemaAST.isArrays(ast) &&
  ast.elements.length === 0 &&
  ast.rest.length === 1 &&
  ast.checks === undefined &&
  ast.encoding === undefined

const makeDecoder = (kind: AnyKind): Decode => {
  const decode = SchemaParser.decodeUnknownEffect(kind.output)
  const decodePart = (value: unknown, itemsBefore: number): Effect.Effect<unknown, string> => {
    const decoded = decode(value)
    // As it is with all schemas that wait for nothing: no fiber has to look at it.
    const done = successOf<unknown, SchemaIssue.Issue>(decoded)
    if (done !== undefined) return Effect.succeed(done.value)
    return Effect.mapError(decoded, (issue) => refusal(value, issue, itemsBefore))
  }
  const decodeAll: Decode = (value) => decodePart(value, 0)
  if (!isPlainList(kind.output)) return decodeAll
  const decodeLong = Effect.fnUntraced(function* (items: ReadonlyArray<unknown>) {
    const decoded: Array<unknown> = []
    let began = performance.now()
    for (let from = 0; from < items.length; from += itemsAtOnce) {
      if (performance.now() - began > turn) {
        yield* Effect.yieldNow
        began = performance.now()
      }
      const output = yield* decodePart(items.slice(from, from + itemsAtOnce), from)
      if (Array.isArray(output)) for (const item of output) decoded.push(item)
    }
    return decoded
  })
  return (value) =>
    Array.isArray(value) && value.length > itemsAtOnce ? decodeLong(value) : decodeAll(value)
}

const decoders = new WeakMap<AnyKind, Decode>()
const decoderOf = (kind: AnyKind): Decode => {
  const known = decoders.get(kind)
  if (known !== undefined) return known
  const decode = makeDecoder(kind)
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
    Effect.fail(new InvalidOutput({ plugin: spec.name, issue: printableLine(issue.slice(0, maxIssue)) }))
  const tooMuch = sizeIssue(text, spec.limits)
  if (tooMuch !== undefined) return invalid(tooMuch)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return invalid(`expected JSON, got ${shown(text)}`)
  }
  const accept = (output: unknown): Effect.Effect<Output, InvalidOutput> => {
    const problem = spec.kind.check?.(output, input)
    // The spec's kind has just decoded it: this is where `unknown` becomes the kind's output.
    return problem === undefined ? Effect.succeed(output as Output) : invalid(problem)
  }
  const judge = (): Effect.Effect<Output, InvalidOutput> => {
    const issue = shapeIssue(value, spec.limits, text.includes("\\u"))
    if (issue !== undefined) return invalid(issue)
    const decoded = decoderOf(spec.kind)(value)
    const done = successOf(decoded)
    return done === undefined
      ? Effect.matchEffect(decoded, { onFailure: invalid, onSuccess: accept })
      : accept(done.value)
  }
  return text.length > longText ? Effect.andThen(Effect.yieldNow, Effect.suspend(judge)) : judge()
}
