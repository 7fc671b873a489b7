/** Which specs can share warm isolates. */
import { Duration } from "effect"
import type { PluginSpec } from "../Plugin.ts"

const keys = new WeakMap<PluginSpec, string>()

/** Two specs with the same key are the same to an isolate that has loaded one of them. */
export const warmKeyOf = (spec: PluginSpec): string => {
  const known = keys.get(spec)
  if (known !== undefined) return known
  const {
    name,
    kind,
    modulePath,
    config,
    grants,
    isolation,
    reuse,
    limits,
    enforcement,
    sandbox,
    integrity
  } = spec
  const key = JSON.stringify([
    name,
    kind.name,
    kind.method,
    modulePath,
    config,
    grants,
    reuse,
    limits,
    enforcement,
    sandbox,
    integrity,
    // Told to the guest as it loads; the other levels are stopped from outside alone.
    isolation === "wasm" ? [Duration.toMillis(spec.timeout), Duration.toMillis(spec.grace)] : []
  ])
  keys.set(spec, key)
  return key
}
