/** Of what kind a plugin is, by its module alone. */
import { Effect } from "effect"
import { LoadError, type PluginError } from "./Errors.ts"
import type { AnyKind, PluginSpec } from "./Plugin.ts"
import { PluginRuntime } from "./Runtime.ts"

const listed = (kinds: ReadonlyArray<AnyKind>, separator: string): string =>
  kinds.map(({ name, method }) => `"${method}" (${name})`).join(separator)

/**
 * Which of some kinds the module of a spec is a plugin of, whatever kind the spec says: loads it once.
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
  return yield* refused(`it is of more than one kind: it has ${listed(found, " and ")}; say which is meant`)
})
