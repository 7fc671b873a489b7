/** Connects the request that posts a message and the commit of its findings in one trace. */
import { Effect, Option, Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"

/**
 * The W3C trace context of the current span, to be stored with a job; `undefined` if nothing is traced.
 *
 * @example
 * ```ts
 * const traceparent = (yield* Trace.current) ?? null
 * ```
 */
export const current: Effect.Effect<string | undefined> = Effect.withFiber(({ cache }) => {
  const { span, tracer, tracerEnabled } = cache
  return Effect.succeed(
    span?._tag === "Span" && tracer !== undefined && tracerEnabled
      ? HttpTraceContext.toHeaders(span)["traceparent"]
      : undefined
  )
})

const spanOf = (traceparent: string): Tracer.ExternalSpan | undefined =>
  Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent })))

/** Runs an effect in a span if a tracer is set. The parent is the job's trace context, or else the current span. */
export const span =
  (
    name: string,
    attributes: { readonly [key: string]: string | number | boolean },
    traceparent?: string | undefined
  ) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber(({ cache }) => {
      if (cache.tracer === undefined || !cache.tracerEnabled) return self
      const parent = traceparent === undefined ? undefined : spanOf(traceparent)
      const options = { attributes, ...(parent === undefined ? {} : { parent }) }
      return Effect.useSpan(name, options, (span) => Effect.provideService(self, Tracer.ParentSpan, span))
    })
