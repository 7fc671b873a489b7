/** Reports the states of circuits to the metrics. */
import { Effect, type Scope, Stream } from "effect"
import { type BreakerState, CircuitBreaker } from "../CircuitBreaker.ts"
import { type BreakerLabel, PluginMetrics } from "../Metrics.ts"

const labels: { readonly [Tag in BreakerState["_tag"]]: BreakerLabel } = {
  Closed: "closed",
  HalfOpen: "half_open",
  Open: "open"
}

/** Follows every circuit until the scope closes. */
export const watchBreaker: Effect.Effect<void, never, CircuitBreaker | PluginMetrics | Scope.Scope> =
  Effect.gen(function* () {
    const breaker = yield* CircuitBreaker
    const metrics = yield* PluginMetrics
    yield* breaker.changes.pipe(
      Stream.runForEach(({ name, to }) => Effect.sync(() => metrics.transitioned(name, labels[to._tag]))),
      // At once, so that no transition is missed.
      Effect.forkScoped({ startImmediately: true })
    )
  })
