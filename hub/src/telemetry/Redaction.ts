/**
 * Removes message content from telemetry. Times, names, codes and ids leave the machine, but no text that people
 * wrote.
 *
 * **Details**: error messages may quote content, so only an error's type and the locations in its stack are sent. What
 * a plugin prints stays in the hub's log.
 */
import { Effect, Layer } from "effect"
import type { OtlpLogger, OtlpResource, OtlpTracer } from "effect/observability"
import { OtlpSerialization } from "effect/observability"

type Attributes = ReadonlyArray<OtlpResource.KeyValue>

/** The lines of a stack with locations, without the message above them. */
const placesOf = (stack: string): string =>
  stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .join("\n")

const withText = (attribute: OtlpResource.KeyValue, change: (text: string) => string) => ({
  ...attribute,
  value: { ...attribute.value, stringValue: change(attribute.value.stringValue ?? "") }
})

const redactAttributes = (attributes: Attributes): Array<OtlpResource.KeyValue> =>
  attributes.flatMap((attribute) => {
    switch (attribute.key) {
      case "exception.message":
      case "url.query":
        return []
      case "exception.stacktrace":
        return [withText(attribute, placesOf)]
      case "url.full":
        return [withText(attribute, (url) => url.replace(/[?#].*$/s, ""))]
      default:
        return [attribute]
    }
  })

type Spans = OtlpTracer.TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"]

const redactSpan = (span: Spans[number]): Spans[number] => ({
  ...span,
  attributes: redactAttributes(span.attributes),
  // The other events are log lines, some from plugins. The logs that may leave are sent as logs.
  events: span.events.flatMap((event) =>
    event.name === "exception" ? [{ ...event, attributes: redactAttributes(event.attributes) }] : []
  ),
  status: { code: span.status.code }
})

export const redactTraces = (data: OtlpTracer.TraceData): OtlpTracer.TraceData => ({
  resourceSpans: data.resourceSpans.map((resource) => ({
    ...resource,
    scopeSpans: resource.scopeSpans.map((scope) => ({ ...scope, spans: scope.spans.map(redactSpan) }))
  }))
})

/** Lines that a plugin printed have the attribute `run`; the hub's own lines do not. */
const isOfPlugin = (attributes: Attributes): boolean => attributes.some(({ key }) => key === "run")

export const redactLogs = (data: OtlpLogger.LogsData): OtlpLogger.LogsData => ({
  resourceLogs: data.resourceLogs.map((resource) => ({
    ...resource,
    scopeLogs: resource.scopeLogs.map((scope) => ({
      ...scope,
      logRecords: (scope.logRecords ?? [])
        .filter(({ attributes }) => !isOfPlugin(attributes))
        .map((record) => ({ ...record, attributes: redactAttributes(record.attributes) }))
    }))
  }))
})

/** Wraps the serialization so that it only receives what may leave. Metrics have bounded labels and pass unchanged. */
export const layer: Layer.Layer<
  OtlpSerialization.OtlpSerialization,
  never,
  OtlpSerialization.OtlpSerialization
> = Layer.effect(
  OtlpSerialization.OtlpSerialization,
  Effect.map(OtlpSerialization.OtlpSerialization, ({ traces, metrics, logs }) => ({
    traces: (data) => traces(redactTraces(data)),
    metrics,
    logs: (data) => logs(redactLogs(data))
  }))
)
