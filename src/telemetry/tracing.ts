/**
 * Spans of runs. They are made only if the application has set a tracer: a span costs as much as the rest of a run, and
 * Effect's default tracer would drop it.
 */
import { Effect, type Fiber } from "effect"
import type { PluginError } from "../Errors.ts"
import { outcomeOf } from "../Metrics.ts"
import type { PluginSpec } from "../Plugin.ts"
import { labelOf } from "./Counts.ts"

/** Whether an application has set a tracer. */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracerEnabled

/** The W3C trace context of a fiber's span; `undefined` if it is not traced. */
export const traceparentOf = (fiber: Fiber.Fiber<unknown, unknown>): string | undefined => {
  const { span } = fiber.cache
  if (span === undefined || !isTraced(fiber)) return undefined
  return `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`
}

/** A span around a run, from the caller's `run` to its result. `run` is the id that its log lines have. */
export const withRunSpan =
  (spec: PluginSpec, run: string) =>
  <A, E extends PluginError, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      if (!isTraced(fiber)) return self
      const attributes = {
        "plugin.name": spec.name,
        "plugin.kind": spec.kind.name,
        "plugin.level": spec.isolation,
        "plugin.run": run
      }
      return Effect.useSpan("plugin.run", { attributes }, (span) =>
        self.pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => span.attribute("plugin.outcome", labelOf(outcomeOf(exit))))
          ),
          Effect.withParentSpan(span, { captureStackTrace: false })
        )
      )
    })
