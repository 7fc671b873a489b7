/** The configured plugins as an operator sees them: by whose leave they run, how they fare, what they lack. */
import {
  type BreakerState,
  CircuitBreaker,
  type ConfiguredSpec,
  type Grants,
  grantsSnippet,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Context, Effect, Layer } from "effect"
import type { CircuitState, PluginStatus } from "./Model.ts"
import { Workspace } from "./Workspace.ts"

const circuitStates: { readonly [Tag in BreakerState["_tag"]]: CircuitState } = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open"
}

/** A circuit that nothing has gone through. */
const unused: BreakerState = { _tag: "Closed", failures: 0 }

/** Without the empty lists. */
const used = (grants: Grants): Grants =>
  Object.fromEntries(Object.entries(grants).filter(([, what]) => what.length > 0))

/** The line for the config file that grants what is needed too; empty if nothing is. */
const snippetOf = ({ grants }: ConfiguredSpec, needs: Grants, root: string): string =>
  Object.keys(needs).length === 0 ? "" : grantsSnippet(grants, needs, root)

export class Plugins extends Context.Service<
  Plugins,
  {
    /** In the config file's order, without those that are switched off. */
    readonly list: Effect.Effect<ReadonlyArray<PluginStatus>>
  }
>()("@agentlip/hub/Plugins") {
  /** When it closes, it logs what plugins in audit mode would have needed. */
  static readonly layer = (
    specs: ReadonlyArray<ConfiguredSpec>
  ): Layer.Layer<Plugins, never, CircuitBreaker | WorkerLayer | Workspace> =>
    Layer.effect(
      Plugins,
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker
        const workers = yield* WorkerLayer
        const { root } = yield* Workspace
        const list = Effect.gen(function* () {
          const circuits = yield* breaker.states
          const audits = yield* workers.audits
          return specs.map((spec) =>
            statusOf(spec, circuits.get(spec.name) ?? unused, used(audits.get(spec.name) ?? {}), root)
          )
        })
        yield* Effect.addFinalizer(() =>
          Effect.flatMap(list, (plugins) => Effect.forEach(plugins, logAudit, { discard: true }))
        )
        return { list }
      })
    )
}

const statusOf = (
  spec: ConfiguredSpec,
  circuit: BreakerState,
  needs: Grants,
  root: string
): PluginStatus => ({
  name: spec.name,
  kind: spec.kind.name,
  isolation: spec.isolation,
  sandbox: spec.isolation === "process" ? spec.sandbox : null,
  enforcement: spec.enforcement,
  grants: spec.grants,
  circuit: { state: circuitStates[circuit._tag], failures: circuit.failures },
  audit: spec.enforcement === "audit" ? { needs, snippet: snippetOf(spec, needs, root) } : null
})

const logAudit = ({ name, audit }: PluginStatus): Effect.Effect<void> => {
  if (audit === null) return Effect.void
  const text =
    audit.snippet === ""
      ? "audit: it used nothing that it is not granted"
      : `audit: to run without it, write in its entry of the config file: ${audit.snippet}`
  return Effect.annotateLogs(Effect.logInfo(text), { plugin: name })
}
