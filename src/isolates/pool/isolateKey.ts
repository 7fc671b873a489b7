/** Which specs can share isolates. */
import { Duration } from "effect"
import type { PluginSpec } from "../../Plugin.ts"

/** Two specs with the same key are the same to an isolate that has loaded one of them. */
export const isolateKeyOf = (spec: PluginSpec): string => {
  const { name, kind, modulePath, config, grants, isolation, reuse, limits, enforcement } = spec
  return JSON.stringify([
    name,
    kind.name,
    kind.method,
    modulePath,
    config,
    grants,
    isolation,
    reuse,
    limits,
    enforcement,
    spec.sandbox,
    spec.integrity,
    spec.concurrency,
    // Told to the guest as it loads; the other levels are stopped from outside alone.
    isolation === "wasm" ? [Duration.toMillis(spec.timeout), Duration.toMillis(spec.grace)] : []
  ])
}
