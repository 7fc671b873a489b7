/** Which specs can share isolates. */
import { Duration } from "effect"
import type { PluginSpec } from "../../Plugin.ts"

/** The order of keys makes no difference. */
const sorted = (values: object): unknown => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))

/** Specs with the same key can use the same isolate. */
export const isolateKeyOf = (spec: PluginSpec): string => {
  const { name, kind, modulePath, config, grants, isolation, reuse, limits, enforcement } = spec
  return JSON.stringify([
    name,
    kind.name,
    kind.method,
    modulePath,
    config,
    sorted(grants),
    isolation,
    reuse,
    sorted(limits),
    enforcement,
    spec.sandbox,
    spec.integrity,
    spec.concurrency,
    // The wasm guest gets its deadline when it loads; other levels are stopped from outside only.
    isolation === "wasm" ? [Duration.toMillis(spec.timeout), Duration.toMillis(spec.grace)] : []
  ])
}
