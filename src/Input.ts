/** From a caller's input to the JSON that a plugin is given. */
import { Effect, Predicate, Schema, type SchemaIssue, SchemaParser } from "effect"
import { ExecutionError } from "./Errors.ts"
import { successOf } from "./exits.ts"
import type { AnyKind, PluginSpec } from "./Plugin.ts"

type Encode = (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>
const encoders = new WeakMap<AnyKind["input"], Encode>()
const encoderOf = (schema: AnyKind["input"]): Encode => {
  const known = encoders.get(schema)
  if (known !== undefined) return known
  const encode = SchemaParser.encodeUnknownEffect(schema)
  encoders.set(schema, encode)
  return encode
}

/** The input's JSON. An input that its kind refuses is the caller's mistake, not the plugin's. */
export const encodeInput = (spec: PluginSpec, input: unknown): Effect.Effect<string, ExecutionError> => {
  const invalid = (why: string): Effect.Effect<never, ExecutionError> =>
    Effect.fail(
      new ExecutionError({
        plugin: spec.name,
        inputRefused: true,
        cause: { name: "InvalidInput", message: `the input is not a ${spec.kind.name}'s: ${why}` }
      })
    )
  const write = (encoded: unknown): Effect.Effect<string, ExecutionError> => {
    // The spec's config joins it on the way, as one more field.
    if (!Predicate.isObject(encoded) || Array.isArray(encoded)) return invalid("it must be an object")
    try {
      return Effect.succeed(JSON.stringify(encoded))
    } catch (error) {
      return invalid(String(error))
    }
  }
  const { kind, cache } = spec
  // A plugin whose answers are kept for other messages too is given nothing but what the key is made of.
  const encoded = encoderOf(cache && kind.content !== undefined ? kind.content : kind.input)(input)
  const done = successOf(encoded)
  if (done !== undefined) return write(done.value)
  return Effect.matchEffect(encoded, {
    onFailure: (issue) => invalid(new Schema.SchemaError(issue).message),
    onSuccess: write
  })
}
