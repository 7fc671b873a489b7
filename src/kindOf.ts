/** Finds out the kind of a plugin from its module. */
import { Effect } from "effect"
import { LoadError, type PluginError } from "./Errors.ts"
import type { PluginSpec } from "./Plugin.ts"
import type { AnyKind } from "./PluginKinds.ts"
import { PluginRuntime } from "./Runtime.ts"

const listed = (kinds: ReadonlyArray<AnyKind>, separator: string): string =>
  kinds.map(({ name, method }) => `"${method}" (${name})`).join(separator)

/**
 * Returns which of some kinds the plugin of a spec is. Ignores the spec's own kind, and loads the module once.
 *
 * Fails with the error of the load, or with a `LOAD_ERROR` if the module has the methods of none of the kinds, or of
 * several.
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
  const refused = (reason: string): LoadError =>
    new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason })
  const [first = spec.kind, ...others] = kinds
  const any = { ...first, otherMethods: others.map(({ method }) => method) }
  const { methods } = yield* Effect.mapError(runtime.load({ ...spec, kind: any }), (error) =>
    error._tag === "LOAD_ERROR" && error.missingMethod !== undefined
      ? refused(
          `it has no default export with a method ${listed(kinds, " or ")}; add \`export default { name, version, ${first.method}(input) { … } }\``
        )
      : error
  )
  const found = kinds.filter(({ method }) => methods.includes(method))
  const [kind] = found
  if (kind !== undefined && found.length === 1) return kind
  return yield* refused(
    `it is of more than one kind: it has ${listed(found, " and ")}; configure it under the kind you want`
  )
})
