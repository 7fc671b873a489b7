/**
 * Decodes a plugin's JSON text to a value that its kind's schema accepts. The size is checked before parsing, and the
 * shape before decoding, so that a text over a limit costs nothing more.
 */
import { Effect, type Schema, SchemaAST, SchemaIssue, SchemaParser } from "effect"
import { InvalidOutput } from "./Errors.ts"
import { successOf } from "./exits.ts"
import { jsonSize } from "./jsonSize.ts"
import { maxPath, shapeIssue, tooDeep, tooMany, tooManyItems } from "./output/shape.ts"
import type { InputOf, Limits, OutputOf, PluginSpec } from "./Plugin.ts"
import type { AnyKind } from "./PluginKinds.ts"
import { pathText, printableLine, shortened, shown } from "./text.ts"

/** A longer text is measured before it is parsed, and decoded one turn of the event loop after it is parsed. */
const longText = 64 * 1024

/** What is wrong with a text's size, found without parsing it. */
const sizeIssue = (text: string, limits: Limits): string | undefined => {
  if (text.length > limits.outputLength) {
    return `expected at most ${limits.outputLength} characters of JSON (limits.outputLength), got ${text.length}`
  }
  // JSON.stringify escapes halves of surrogate pairs, so it did not write a text that has one.
  if (!text.isWellFormed()) return "expected JSON in well-formed Unicode, got half a surrogate pair"
  // A short text is cheap to parse, and its values are counted then.
  if (text.length <= longText) return undefined
  const size = jsonSize(text, { values: limits.outputValues, depth: limits.outputDepth })
  if (size.depth > limits.outputDepth) return tooDeep(limits)
  // Check items before values: otherwise the message would name the wrong limit.
  if (text[0] === "[" && size.items > limits.outputItems) return tooManyItems(limits, "more")
  return size.values > limits.outputValues ? tooMany(limits) : undefined
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "MissingKey" ? "a value" : SchemaIssue.defaultLeafHook(issue))
})

/** The most characters of an expectation that an issue repeats. */
const maxExpected = 500

/** Why a schema refuses a value or a part of a list: where, what was expected, what came. */
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
  // A rule may say itself what came.
  const got = expected.includes(", got ") ? "" : `, got ${found === undefined ? "nothing" : shown(found)}`
  return `${where}expected ${expected}${got}`
}

const maxIssue = 1_000

/** Decodes a whole output, or fails with what is wrong with it. */
type Decode = (value: unknown) => Effect.Effect<unknown, string>

/** Items that are decoded between two checks of the clock. */
const itemsAtOnce = 100

/** Milliseconds of decoding before others get their turn on the event loop. */
const turn = 5

/** Whether a list can be decoded in parts. */
const isPlainList = ({ ast }: Schema.Top): boolean =>
  SchemaAST.isArrays(ast) &&
  ast.elements.length === 0 &&
  ast.rest.length === 1 &&
  ast.checks === undefined &&
  ast.encoding === undefined

const valueDecoder = (kind: AnyKind): Decode => {
  const decode = SchemaParser.decodeUnknownEffect(kind.output)
  const decodePart = (value: unknown, itemsBefore: number): Effect.Effect<unknown, string> => {
    const decoded = decode(value)
    // True for every schema without an asynchronous step: no fiber is needed.
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

/** Decodes the JSON of a plugin's output for `input`. */
export type OutputDecoder<Spec extends PluginSpec> = (
  input: InputOf<Spec>,
  text: string
) => Effect.Effect<OutputOf<Spec>, InvalidOutput>

export const makeOutputDecoder = <Spec extends PluginSpec>(spec: Spec): OutputDecoder<Spec> => {
  const { kind, limits } = spec
  const decodeValue = valueDecoder(kind)
  const invalid = (issue: string): Effect.Effect<never, InvalidOutput> =>
    Effect.fail(new InvalidOutput({ plugin: spec.name, issue: printableLine(issue.slice(0, maxIssue)) }))
  return (input, text) => {
    const tooMuch = sizeIssue(text, limits)
    if (tooMuch !== undefined) return invalid(tooMuch)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return invalid(`expected JSON, got ${shown(text)}`)
    }
    const accept = (output: unknown): Effect.Effect<OutputOf<Spec>, InvalidOutput> => {
      const problem = kind.check?.(output, input)
      // The spec's kind has just decoded it: this is where `unknown` becomes the kind's output.
      return problem === undefined ? Effect.succeed(output as OutputOf<Spec>) : invalid(problem)
    }
    const judgeOrThrow = (): Effect.Effect<OutputOf<Spec>, InvalidOutput> => {
      const issue = shapeIssue(value, limits, text.includes("\\u"))
      if (issue !== undefined) return invalid(issue)
      const decoded = decodeValue(value)
      const done = successOf(decoded)
      return done === undefined
        ? Effect.matchEffect(decoded, { onFailure: invalid, onSuccess: accept })
        : accept(done.value)
    }
    // The isolate's message is being handled: if the kind's own code throws, only its caller may notice.
    const judge = (): Effect.Effect<OutputOf<Spec>, InvalidOutput> => {
      try {
        return judgeOrThrow()
      } catch (defect) {
        return Effect.die(defect)
      }
    }
    return text.length > longText ? Effect.andThen(Effect.yieldNow, Effect.suspend(judge)) : judge()
  }
}
