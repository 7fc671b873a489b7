/** Sends traces, metrics and logs to an OpenTelemetry collector. */
import { ConfigProvider, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"
import * as Redaction from "./Redaction.ts"

const serializations = {
  "http/json": OtlpSerialization.layerJson,
  "http/protobuf": OtlpSerialization.layerProtobuf
} as const

/** Exporters with OpenTelemetry's settings, which include the collector's URL. Secrets are removed before sending. */
export const exporters = (
  protocol: keyof typeof serializations,
  settings: { readonly [name: string]: string }
) =>
  Otlp.layerFromConfig().pipe(
    Layer.provide(Redaction.layer.pipe(Layer.provide(serializations[protocol]))),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: settings })))
  )
