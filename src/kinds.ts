/** Of what kind a plugin is, by its module alone. */
import { Effect, Result } from "effect"
import { LoadError, type PluginError } from "./Errors.ts"
import type { AnyKind, PluginSpec } from "./Plugin.ts"
import { PluginRuntime } from "./Runtime.ts"

const listed = (kinds: ReadonlyArray<AnyKind>, separator: string): string =>
  kinds.map(({ name, method }) => `"${method}" (${name})`).join(separator)

/**
 * Which of some kinds the module of a spec is a plugin of, whatever kind the spec says: loads it as each of them.
 *
 * Fails with the error of the load where that is for another reason than the kind, and with a `LOAD_ERROR` where the
 * module has the methods of none of the kinds, or of several.
 *
 * @example
 * ```ts
 * const spec = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/plugins/urls.ts" })
 * const kind = yield* kindOf(spec, [linkifier, extractor])
 * const urls = { ...spec, kind }
 * ```
 */
export const kindOf = Effect.fn("kindOf")(function* <Kind extends AnyKind>(
  spec: PluginSpec,
  kinds: ReadonlyArray<Kind>
): Effect.fn.Return<Kind, PluginError, PluginRuntime> {
  const runtime = yield* PluginRuntime
  const tried = yield* Effect.forEach(
    kinds,
    (kind) => Effect.map(Effect.result(runtime.load({ ...spec, kind })), (loaded) => ({ kind, loaded })),
    { concurrency: "unbounded" }
  )
  const found: Array<Kind> = []
  for (const { kind, loaded } of tried) {
    if (Result.isSuccess(loaded)) found.push(kind)
    else if (loaded.failure._tag !== "LOAD_ERROR" || loaded.failure.missingMethod === undefined)
      return yield* loaded.failure
  }
  const [kind] = found
  if (kind !== undefined && found.length === 1) return kind
  return yield* new LoadError({
    plugin: spec.name,
    modulePath: spec.modulePath,
    reason:
      kind === undefined
        ? `it has no default export with a method ${listed(kinds, " or ")}; add \`export default { name, version, ${kinds[0]?.method}(input) { … } }\``
        : `it is of more than one kind: it has ${listed(found, " and ")}; say which is meant`
  })
})
