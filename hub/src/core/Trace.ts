/** One trace from the request that posts a message to the commit of what plugins found in it. */
import { Effect, Option, Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"

/**
 * The W3C trace context of the span around it, for a job to carry; `undefined` where nothing is traced.
 *
 * @example
 * ```ts
 * const traceparent = yield* Trace.current
 * yield* queue.offer({ message_id, content_version, ...(traceparent === undefined ? {} : { traceparent }) })
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

/** A span, where anybody collects spans: the current span's child, or that of the trace context a job carried. */
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
