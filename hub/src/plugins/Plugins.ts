/** The status of the configured plugins for operators: grants, health, and missing permissions. */
import {
  type BreakerState,
  CircuitBreaker,
  type ConfiguredSpec,
  type Grants,
  grantsSnippet,
  type PastError,
  type PluginError,
  PluginErrorJson,
  PluginStats,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Context, Effect, Layer, Schema } from "effect"
import {
  type CircuitState,
  NotFound,
  type PluginDetails,
  type PluginFailure,
  type PluginStatus,
  type PluginSummary
} from "@agentlip/protocol"
import { restOf, summaryOf } from "./PluginDetails.ts"
import { Specs } from "./Specs.ts"
import { problemOf } from "./PluginProblem.ts"
import { type Redactor, Secrets } from "./Secrets.ts"
import { Workspace } from "../workspace/Workspace.ts"

const circuitStates: { readonly [Tag in BreakerState["_tag"]]: CircuitState } = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half_open"
}

/** Removes empty lists. */
const used = (grants: Grants): Grants =>
  Object.fromEntries(Object.entries(grants).filter(([, what]) => what.length > 0))

/** The line for the config file that grants what the plugin needs; empty if it needs nothing more. */
const snippetOf = ({ grants }: ConfiguredSpec, needs: Grants, root: string): string =>
  Object.keys(needs).length === 0 ? "" : grantsSnippet(grants, needs, root)

export class Plugins extends Context.Service<
  Plugins,
  {
    /** In the order of the config file, without disabled plugins. */
    readonly list: Effect.Effect<ReadonlyArray<PluginSummary>>
    /** Fails if no plugin of this name is configured. */
    readonly specOf: (name: string) => Effect.Effect<ConfiguredSpec, NotFound>
    /** `lastErrors` of a plugin are in `RecentRuns`, which knows their messages. */
    readonly get: (
      name: string,
      lastErrors: ReadonlyArray<PastError>
    ) => Effect.Effect<PluginDetails, NotFound>
  }
>()("@agentlip/hub/Plugins") {
  /** When it closes, it logs the grants that plugins in audit mode would have needed. */
  static readonly layer: Layer.Layer<
    Plugins,
    never,
    CircuitBreaker | PluginStats | Secrets | Specs | WorkerLayer | Workspace
  > = Layer.effect(
    Plugins,
    Effect.gen(function* () {
      const specs = yield* Specs
      const breaker = yield* CircuitBreaker
      const workers = yield* WorkerLayer
      const stats = yield* PluginStats
      const secrets = yield* Secrets
      const { root } = yield* Workspace

      const statusOf = Effect.fnUntraced(function* (spec: ConfiguredSpec) {
        const circuit = yield* breaker.state(spec.name)
        const needs = used((yield* workers.audits).get(spec.name) ?? {})
        const outdated = specs.refused().get(spec.name)?.error ?? (yield* workers.outdated).get(spec.name)
        return describe(spec, circuit, needs, root, outdated, secrets.of(spec.name))
      })

      const list = Effect.suspend(() =>
        Effect.forEach(specs.current(), (spec) =>
          Effect.zipWith(statusOf(spec), stats.of(spec.name), summaryOf)
        )
      )

      const specOf = (name: string) =>
        Effect.suspend(() => {
          const spec = specs.current().find((spec) => spec.name === name)
          if (spec !== undefined) return Effect.succeed(spec)
          return new NotFound({
            error: `No plugin of the name ${JSON.stringify(name)} is configured; GET /api/v1/plugins lists them`
          })
        })

      const get = Effect.fnUntraced(function* (name: string, lastErrors: ReadonlyArray<PastError>) {
        const spec = yield* specOf(name)
        const report = yield* stats.of(name)
        const details: PluginDetails = {
          ...summaryOf(yield* statusOf(spec), report),
          ...restOf(spec, report),
          last_errors: yield* Effect.forEach(lastErrors, (past) => failureOf(past, secrets.of(name)))
        }
        return details
      })

      yield* Effect.addFinalizer(() =>
        Effect.forEach(specs.current(), (spec) => Effect.flatMap(statusOf(spec), logAudit), { discard: true })
      )
      return { list, specOf, get }
    })
  )
}

/** A plugin could put a secret into the name of what it asks for. */
const withoutSecretsIn = (needs: Grants, text: Redactor["text"]): Grants =>
  Object.fromEntries(Object.entries(needs).map(([capability, what]) => [capability, what.map(text)]))

const auditOf = (spec: ConfiguredSpec, needs: Grants, root: string) => ({
  needs,
  snippet: snippetOf(spec, needs, root)
})

const describe = (
  spec: ConfiguredSpec,
  circuit: BreakerState,
  needs: Grants,
  root: string,
  outdated: PluginError | undefined,
  { text }: Redactor
): PluginStatus => ({
  name: spec.name,
  kind: spec.kind.name,
  isolation: spec.isolation,
  sandbox: spec.isolation === "process" ? spec.sandbox : null,
  enforcement: spec.enforcement,
  grants: spec.grants,
  circuit: { state: circuitStates[circuit._tag], failures: circuit.failures },
  outdated:
    outdated === undefined
      ? null
      : {
          code: outdated._tag,
          message: text(outdated.message),
          problem: problemOf(outdated, spec, text)
        },
  audit: spec.enforcement === "audit" ? auditOf(spec, withoutSecretsIn(needs, text), root) : null
})

const encodeError = Schema.encodeEffect(PluginErrorJson)

const failureOf = Effect.fnUntraced(function* ({ at, error }: PastError, { text, json }: Redactor) {
  const encoded = yield* Effect.orDie(encodeError(error))
  const failure: PluginFailure = {
    at: new Date(at).toISOString(),
    code: error._tag,
    message: text(error.message),
    error: json(encoded)
  }
  return failure
})

const logAudit = ({ name, audit }: PluginStatus): Effect.Effect<void> => {
  if (audit === null) return Effect.void
  const text =
    audit.snippet === ""
      ? "audit: it used nothing that it is not granted"
      : `audit: to run without it, write in its entry of the config file: ${audit.snippet}`
  return Effect.annotateLogs(Effect.logInfo(text), { plugin: name })
}
