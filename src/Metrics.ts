/**
 * Measures plugins: the library writes to `PluginMetrics`, operators read `PluginStats`. Exporters read the same counts as
 * Effect metrics.
 *
 * **Details**
 *
 * - A run costs a few dozen nanoseconds: it adds to plain numbers, which are put together only when read.
 * - Labels are bounded: plugin, kind, level, outcome and the like, never ids.
 * - Metrics belong to the `Metric.MetricRegistry` of the context that the Layer is built in, and outlive it;
 *   `PluginStats` is of this Layer alone.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Option, type Scope } from "effect"
import type { IsolationLevel } from "./Capabilities.ts"
import type { PluginError } from "./Errors.ts"
import { getOrMake } from "./getOrMake.ts"
import type { PluginSpec } from "./Plugin.ts"
import { Counts, type EndedRun, labelOf, type OutcomeLabel, type RunOutcome } from "./telemetry/Counts.ts"
import { Latencies, type Quantiles } from "./telemetry/Latencies.ts"
import { type BreakerLabel, type IsolateCounts, Registry } from "./telemetry/Registry.ts"

export type { EndedRun, OutcomeLabel, RunOutcome } from "./telemetry/Counts.ts"
export type { Quantiles } from "./telemetry/Latencies.ts"
export type { BreakerLabel, IsolateCounts } from "./telemetry/Registry.ts"

/** Errors kept of each plugin. */
const maxLastErrors = 10

/** An error of a plugin, and when it was. */
export interface PastError {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly error: PluginError
}

/** What a plugin has done since the Layer was built. */
export interface PluginReport {
  readonly runs: { readonly [Outcome in OutcomeLabel]: number }
  /** From the moment an isolate began the run. */
  readonly runMillis: Quantiles
  /** From the caller's `run` until an isolate began it. */
  readonly queueMillis: Quantiles
  readonly loadMillis: Quantiles
  readonly bytesIn: number
  readonly bytesOut: number
  /** Runs that left something behind; their isolates were ended. */
  readonly leftovers: number
  readonly cacheHits: number
  readonly cacheMisses: number
  /** 0 if the level cannot measure it. */
  readonly cpuMillis: number
  /** The most memory of one isolate, in bytes; 0 if the level cannot measure it. */
  readonly peakMemory: number
  /** Newest first, at most 10. Refusals by an open circuit are not among them. */
  readonly lastErrors: ReadonlyArray<PastError>
}

/** Records what happens to one plugin. Every method is synchronous and never fails. */
export interface PluginRecorder {
  readonly ended: (run: EndedRun) => void
  /** A run left something behind; it has a result, but its isolate was ended. */
  readonly leftover: () => void
  readonly loaded: (millis: number) => void
  /** Processor time since the last call, and the memory that is held now. */
  readonly used: (cpuMillis: number, memoryBytes: number) => void
  /** Whether the result cache had the output. A hit is no run: `ended` is not called for it. */
  readonly cached: (hit: boolean) => void
}

/** Records what happens to the isolates of one level. */
export interface IsolateRecorder {
  readonly booted: (millis: number) => void
  /** Adds the isolates of a pool to the metrics until the scope closes. `counts` is called when they are read. */
  readonly watch: (counts: () => IsolateCounts) => Effect.Effect<void, never, Scope.Scope>
}

/** The side that records. */
export class PluginMetrics extends Context.Service<
  PluginMetrics,
  {
    /** The recorder of each name, kind and level. Get it once and keep it. */
    readonly of: (spec: PluginSpec) => PluginRecorder
    readonly isolates: (level: IsolationLevel) => IsolateRecorder
    /** A circuit changed its state. */
    readonly transitioned: (plugin: string, to: BreakerLabel) => void
  }
>()("@agentlip/plugin-runtime/PluginMetrics") {}

/**
 * How plugins fare, for an operator's page.
 *
 * @example
 * ```ts
 * const stats = yield* PluginStats
 * const { runs, runMillis } = yield* stats.of("urls")
 * yield* Effect.log(`${runs.ok} runs, p99 ${runMillis.p99} ms`)
 * ```
 */
export class PluginStats extends Context.Service<
  PluginStats,
  {
    /** All zeros for a plugin that never ran. */
    readonly of: (plugin: string) => Effect.Effect<PluginReport>
    /** Every plugin that has run, by name. */
    readonly all: Effect.Effect<ReadonlyMap<string, PluginReport>>
  }
>()("@agentlip/plugin-runtime/PluginStats") {}

/** How an exit counts. */
export const outcomeOf = (exit: Exit.Exit<unknown, PluginError>): RunOutcome => {
  if (Exit.isSuccess(exit)) return "ok"
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  return Option.getOrElse(Cause.findErrorOption(exit.cause), () => "defect" as const)
}

/**
 * Until the text of an error's stack is first read, the engine keeps the objects whose methods are in it: here the run, its
 * caller's fiber and its isolate, with all that these hold. Reading it lets go of them, also for others who keep the error.
 */
const releaseCallers = (error: Error): void => void error.stack

/** What one Layer knows of all specs with one plugin name. */
class Own extends Counts {
  readonly loads = new Latencies()
  readonly #errors: Array<PastError> = []

  failed(past: PastError): void {
    releaseCallers(past.error)
    this.#errors.unshift(past)
    if (this.#errors.length > maxLastErrors) this.#errors.pop()
  }

  report(): PluginReport {
    const { outcomes, ran, queued, loads, bytesIn, bytesOut, leftovers } = this
    const { cacheHits, cacheMisses, cpuMillis, peakMemory } = this
    return {
      runs: { ...outcomes },
      runMillis: ran.quantiles(),
      queueMillis: queued.quantiles(),
      loadMillis: loads.quantiles(),
      bytesIn,
      bytesOut,
      leftovers,
      cacheHits,
      cacheMisses,
      cpuMillis,
      peakMemory,
      lastErrors: [...this.#errors]
    }
  }
}

const make = Effect.gen(function* () {
  const registry = Registry.of(yield* Effect.context())
  const clock = yield* Clock.Clock
  const owns = new Map<string, Own>()
  const recorders = new Map<string, PluginRecorder>()

  const recorderOf = (spec: PluginSpec): PluginRecorder => {
    const labels = { plugin: spec.name, kind: spec.kind.name, level: spec.isolation }
    const own = getOrMake(owns, spec.name, () => new Own())
    const counts = registry.plugin(labels)
    const level = registry.level(spec.isolation)
    registry.breaker(spec.name)
    return {
      ended: (run) => {
        const label = labelOf(run.outcome)
        own.ended(label, run)
        counts.ended(label, run)
        if (typeof run.outcome === "object" && run.outcome._tag !== "CIRCUIT_OPEN") {
          own.failed({ at: clock.currentTimeMillisUnsafe(), error: run.outcome })
        }
      },
      leftover: () => {
        own.leftovers++
        counts.leftovers++
      },
      loaded: (millis) => {
        own.loads.add(millis)
        level.loads.add(millis)
      },
      used: (cpuMillis, memoryBytes) => {
        registry.usage(labels, counts)
        own.used(cpuMillis, memoryBytes)
        counts.used(cpuMillis, memoryBytes)
      },
      cached: (hit) => {
        registry.cache(labels, counts)
        own.cached(hit)
        counts.cached(hit)
      }
    }
  }

  const metrics = PluginMetrics.of({
    of: (spec) => {
      const key = JSON.stringify([spec.name, spec.kind.name, spec.isolation])
      return getOrMake(recorders, key, () => recorderOf(spec))
    },
    isolates: (name) => {
      const level = registry.level(name)
      return {
        booted: (millis) => level.boots.add(millis),
        watch: (counts) =>
          Effect.asVoid(
            Effect.acquireRelease(
              Effect.sync(() => level.pools.add(counts)),
              () => Effect.sync(() => level.pools.delete(counts))
            )
          )
      }
    },
    transitioned: (plugin, to) => {
      const breaker = registry.breaker(plugin)
      breaker.state = to
      breaker.transitions[to]++
    }
  })

  const stats = PluginStats.of({
    of: (plugin) => Effect.sync(() => (owns.get(plugin) ?? new Own()).report()),
    all: Effect.sync(() => new Map(Array.from(owns, ([plugin, own]) => [plugin, own.report()])))
  })

  return Context.make(PluginMetrics, metrics).pipe(Context.add(PluginStats, stats))
})

/** Both sides. Layers that use this value share it when they are built together. */
export const metricsLayer: Layer.Layer<PluginMetrics | PluginStats> = Layer.effectContext(make)
