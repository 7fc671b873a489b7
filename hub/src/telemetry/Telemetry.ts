/**
 * Sends traces, metrics and logs to the OpenTelemetry collector that the environment names. Without one, nothing is
 * collected.
 */
import { Context, Effect, Layer, References, Schema } from "effect"
import { HttpMiddleware } from "effect/http"

/** The environment's telemetry settings are invalid. */
export class TelemetryError extends Schema.TaggedError<TelemetryError>("@agentlip/hub/TelemetryError")(
  "TelemetryError",
  { variable: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.variable}: ${this.reason}`
  }
}

/** True if telemetry is exported. Otherwise, metrics that only the export needs are not updated. */
export const Exporting = Context.Reference<boolean>("@agentlip/hub/Exporting", { defaultValue: () => false })

type Environment = { readonly [name: string]: string | undefined }

const endpoints = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
]

/** OpenTelemetry's defaults, except for the protocol and the timeout. */
const defaults: Environment = {
  OTEL_SERVICE_NAME: "agentlip-hub",
  OTEL_TRACES_EXPORTER: "otlp",
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_LOGS_EXPORTER: "otlp",
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  // How long a stop waits at most for the rest to be sent, in milliseconds.
  OTEL_EXPORTER_OTLP_TIMEOUT: "1000"
}

const protocols = ["http/json", "http/protobuf"] as const

const isSet = (value: string | undefined): value is string => value !== undefined && value.trim() !== ""

/** Without a tracer, Effect would still create spans that are never read. */
const spansForTracerOnly = Layer.effect(
  References.TracerEnabled,
  Effect.withFiber(({ cache }) => Effect.succeed(cache.tracer !== undefined))
)

/**
 * Requests that are not traced: scrapes and health checks are frequent, and event streams stay open for hours. A
 * WebSocket's URL also contains the token.
 */
const untracedPaths = new Set(["/health", "/metrics", "/ws", "/api/v1/events/stream"])
const untraced = Layer.succeed(HttpMiddleware.TracerDisabledWhen, ({ url }) =>
  untracedPaths.has(url.replace(/\?.*$/s, ""))
)

/**
 * Provide it to the whole hub. Reads `environment` as OpenTelemetry specifies: `OTEL_EXPORTER_OTLP_ENDPOINT` turns
 * telemetry on, `OTEL_SDK_DISABLED=true` turns it off.
 *
 * @example
 * ```ts
 * Hub.layer(options).pipe(Layer.provide(Telemetry.layer({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" })))
 * ```
 */
export const layer = (environment: Environment = process.env): Layer.Layer<never, TelemetryError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const settings: { [name: string]: string } = {}
      for (const [name, value] of Object.entries({ ...defaults, ...environment })) {
        if (isSet(value)) settings[name] = value
      }
      const named = endpoints.filter((variable) => variable in settings)
      if (named.length === 0 || settings["OTEL_SDK_DISABLED"] === "true") return spansForTracerOnly
      for (const variable of named) {
        if (!URL.canParse(settings[variable] ?? "")) {
          return yield* new TelemetryError({
            variable,
            reason: "must be a URL such as http://127.0.0.1:4318"
          })
        }
      }
      const wanted = settings["OTEL_EXPORTER_OTLP_PROTOCOL"] ?? ""
      const protocol = protocols.find((protocol) => protocol === wanted)
      if (protocol === undefined) {
        return yield* new TelemetryError({
          variable: "OTEL_EXPORTER_OTLP_PROTOCOL",
          reason: `must be ${protocols.join(" or ")}, not ${wanted}`
        })
      }
      // A hub without a collector never loads the exporters.
      const { exporters } = yield* Effect.promise(() => import("./Exporters.ts"))
      return Layer.mergeAll(spansForTracerOnly, untraced, Layer.succeed(Exporting, true)).pipe(
        Layer.provideMerge(exporters(protocol, settings))
      )
    })
  )
