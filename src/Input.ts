/** Encodes a caller's input to what a plugin gets. */
import { Effect, Predicate, Schema, type SchemaIssue, SchemaParser } from "effect"
import { ExecutionError } from "./Errors.ts"
import { successOf } from "./exits.ts"
import type { PluginSpec } from "./Plugin.ts"
import { shown } from "./text.ts"
import { type RunInput, splitInput } from "./wire/runInput.ts"

/** Encodes a caller's input. An input that the kind refuses is the caller's mistake, not the plugin's. */
export type InputEncoder = (input: unknown) => Effect.Effect<RunInput, ExecutionError>

export const makeInputEncoder = ({ name, kind, cache, isolation }: PluginSpec): InputEncoder => {
  // Cached outputs are reused for other messages, so the plugin gets only what is part of the key.
  const encode: (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue> =
    SchemaParser.encodeUnknownEffect(cache && kind.content !== undefined ? kind.content : kind.input)
  // A key is made from the whole JSON.
  const isSplit = isolation === "thread" && !cache
  const invalid = (why: string): Effect.Effect<never, ExecutionError> =>
    Effect.fail(
      new ExecutionError({
        plugin: name,
        inputRefused: true,
        cause: { name: "InvalidInput", message: `the input is not a ${kind.name}'s: ${why}` }
      })
    )
  const refuse = (error: unknown): Effect.Effect<never, ExecutionError> =>
    invalid(error instanceof Error ? String(error) : `${shown(error)} was thrown`)
  const write = (encoded: unknown): Effect.Effect<RunInput, ExecutionError> => {
    try {
      // The spec's config is added to it later, as one more field.
      if (Predicate.isObject(encoded) && !Array.isArray(encoded)) {
        const input = isSplit ? splitInput(encoded) : { json: JSON.stringify(encoded), texts: undefined }
        // A `toJSON` may return anything, and without a value there is no JSON.
        const json: unknown = input.json
        if (typeof json === "string" && json[0] === "{") return Effect.succeed(input)
      }
    } catch (error) {
      return refuse(error)
    }
    return invalid("it must be an object")
  }
  return (input) => {
    let encoded: ReturnType<typeof encode>
    try {
      encoded = encode(input)
    } catch (error) {
      // A getter of the input threw, or the kind's own encoder.
      return refuse(error)
    }
    const done = successOf(encoded)
    if (done !== undefined) return write(done.value)
    return Effect.matchEffect(encoded, {
      onFailure: (issue) => invalid(new Schema.SchemaError(issue).message),
      onSuccess: write
    }).pipe(Effect.catchDefect(refuse))
  }
}
