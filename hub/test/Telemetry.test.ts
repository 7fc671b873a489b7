import { ExecutionError } from "@agentlip/plugin-runtime"
import { layerFakePlugins } from "@agentlip/plugin-runtime/testing"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, References, Tracer } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Hub from "../src/Hub.ts"
import * as Telemetry from "../src/telemetry/Telemetry.ts"
import {
  client,
  jobsOf,
  extractorSpec,
  type Json,
  linkifierSpec,
  makeTopic,
  readServerFile,
  tempWorkspace
} from "./testHub.ts"

/** What a collector was sent: path and body, as text. */
interface Sent {
  readonly path: string
  readonly type: string | undefined
  readonly body: Buffer
}

/** An HTTP server that takes what a collector would. */
const collector = Effect.acquireRelease(
  Effect.promise(async () => {
    const sent: Array<Sent> = []
    const server = http.createServer((request, response) => {
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part))
      request.on("end", () => {
        sent.push({
          path: request.url ?? "",
          type: request.headers["content-type"],
          body: Buffer.concat(parts)
        })
        response.writeHead(200, { "content-type": "application/json" }).end("{}")
      })
    })
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
    // A server on TCP has an address of that kind.
    const { port } = server.address() as AddressInfo
    return { sent, server, url: `http://127.0.0.1:${port}` }
  }),
  ({ server }) =>
    Effect.promise(async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    })
)

const secret = "the-password-is-swordfish"

const specs = [linkifierSpec("links"), extractorSpec("tags"), linkifierSpec("broken"), linkifierSpec("lies")]
const fakes = {
  links: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 3 }, data: { text: secret } }]),
  tags: () => Effect.as(Effect.logInfo(`I saw ${secret}`), []),
  // Both quote what they were given, as errors do.
  broken: () =>
    Effect.fail(
      new ExecutionError({
        plugin: "broken",
        cause: {
          name: "Error",
          message: `cannot read ${secret}`,
          stack: `Error: cannot read ${secret}\n    at enrich (broken.ts:3:9)`
        }
      })
    ),
  lies: () => Effect.succeed([{ kind: secret, span: { start: 0, end: secret } }])
}

/** A hub whose telemetry is set up by these variables. */
const startHub = Effect.fnUntraced(function* (environment: { readonly [name: string]: string }) {
  const workspace = yield* tempWorkspace
  const services = yield* Layer.build(
    Hub.layer({ workspace, plugins: specs }).pipe(
      Layer.provideMerge(layerFakePlugins(fakes)),
      Layer.provideMerge(Telemetry.layer(environment))
    )
  )
  const { port, auth_token: token } = readServerFile(workspace)
  /** Logs as the hub does. */
  const log = (line: Effect.Effect<void>) => Effect.provideContext(line, services)
  return { token, log, ...client(`http://127.0.0.1:${port}`, token) }
})

const post = Effect.fnUntraced(function* (
  hub: Effect.Success<ReturnType<typeof startHub>>,
  headers: Record<string, string> = {}
) {
  const { topic } = yield* makeTopic(hub)
  const message = { topic_id: topic, sender: "ana", content_raw: `${secret}, see https://example.com` }
  const { body } = yield* hub.post("/api/v1/messages", message, { headers })
  yield* jobsOf(hub, body.message.id)
  return String(body.message.id)
})

const attributesOf = (span: Json): Record<string, Json> =>
  Object.fromEntries(span.attributes.map(({ key, value }: Json) => [key, Object.values(value)[0]]))

const spansIn = (sent: ReadonlyArray<Sent>): ReadonlyArray<Json> =>
  sent
    .filter(({ path }) => path === "/v1/traces")
    .flatMap(({ body }) => JSON.parse(body.toString()).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)

describe("with a collector", () => {
  it.live("one trace goes from the POST through each job and run to the commit", () =>
    Effect.gen(function* () {
      const { sent, url } = yield* collector
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const caller = "b7ad6b7169203331"
      const { id } = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SERVICE_NAME: "chat" })
          return { id: yield* post(hub, { traceparent: `00-${traceId}-${caller}-01` }) }
        })
      )
      const spans = spansIn(sent).filter((span) => span.traceId === traceId)
      const named = (name: string, plugin: string) =>
        spans.find((span) => span.name === name && attributesOf(span)["plugin.name"] === plugin)
      const request = spans.find((span) => attributesOf(span)["http.route"] === "/api/v1/messages")
      assert.strictEqual(request?.parentSpanId, caller)
      assert.strictEqual(attributesOf(request)["http.response.status_code"], 201)

      const byId = new Map(spans.map((span) => [span.spanId, span]))
      /** The names of a span and those above it. */
      const path = (span: Json): ReadonlyArray<string> =>
        span === undefined ? [] : [span.name, ...path(byId.get(span.parentSpanId))]
      const jobs = [
        ["links", "ok", "committed"],
        ["tags", "ok", "empty"],
        ["broken", "execution_error", "failed"],
        ["lies", "invalid_output", "failed"]
      ] as const
      for (const [plugin, outcome] of jobs) {
        const job = named("derive", plugin)
        assert.strictEqual(attributesOf(job)["message.id"], id)
        assert.strictEqual(attributesOf(job)["message.content_version"], 1)
        assert.include(path(job), request.name)
        const run = named("plugin.run", plugin)
        assert.deepStrictEqual(path(run).slice(0, 2), ["plugin.run", "derive"])
        assert.strictEqual(attributesOf(run)["plugin.outcome"], outcome)
      }
      assert.deepStrictEqual(path(named("commit", "links")).slice(0, 2), ["commit", "derive"])
      // What the database did for the request hangs below it too.
      assert.isTrue(spans.some((span) => path(span)[0] === "sqlite" && path(span).includes(request.name)))
    })
  )

  it.live("nothing that anybody wrote leaves the machine, nor the token", () =>
    Effect.gen(function* () {
      const { sent, url } = yield* collector
      const token = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
          yield* post(hub)
          yield* hub.post("/api/v1/messages", { topic_id: secret, sender: secret, content_raw: secret })
          yield* hub.get(`/api/v1/messages?topic_id=${secret}&token=${hub.token}`)
          yield* hub.log(Effect.logError("something failed", Cause.fail(new Error(secret))))
          return hub.token
        })
      )
      const paths = new Set(sent.map(({ path }) => path))
      assert.deepStrictEqual([...paths].toSorted(), ["/v1/logs", "/v1/metrics", "/v1/traces"])
      const all = sent.map(({ body }) => body.toString()).join("\n")
      // Not `notInclude`, which would print all of it.
      for (const text of ["swordfish", token, "Bearer"]) assert.isFalse(all.includes(text), text)
      // It is not that there was nothing: the failures are there, by type, with the places in their stacks.
      const there = [
        "plugin failed",
        "something failed",
        "agentlip_plugin_runs_total",
        '"exception.type"',
        '"exception.stacktrace"',
        "at enrich (broken.ts:3:9)",
        '"stringValue":"agentlip-hub"'
      ]
      for (const text of there) assert.isTrue(all.includes(text), text)
    })
  )

  it.live("protobuf is sent where the environment asks for it", () =>
    Effect.gen(function* () {
      const { sent, url } = yield* collector
      yield* Effect.scoped(
        Effect.flatMap(
          startHub({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" }),
          post
        )
      )
      const traces = sent.filter(({ path }) => path === "/v1/traces")
      assert.isNotEmpty(traces)
      for (const { type, body } of traces) {
        assert.strictEqual(type, "application/x-protobuf")
        assert.isFalse(body.includes(secret))
      }
      assert.isTrue(traces.some(({ body }) => body.includes("plugin.run")))
    })
  )

  it.live("a collector that is not there keeps nobody from anything", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" })
      yield* post(hub)
      assert.strictEqual((yield* hub.get("/health")).status, 200)
    })
  )
})

describe("without one", () => {
  it.live("no span is made, whatever else the environment says", () =>
    Effect.gen(function* () {
      const traced = (environment: { readonly [name: string]: string }) =>
        Effect.scoped(
          Effect.gen(function* () {
            const services = yield* Layer.build(Telemetry.layer(environment))
            return yield* Effect.provideContext(
              Effect.all([
                References.TracerEnabled,
                Effect.map(
                  Effect.withSpan(Effect.currentSpan, "any"),
                  ({ annotations }) => !Context.get(annotations, Tracer.DisablePropagation)
                ),
                Telemetry.Exporting
              ]),
              services
            )
          })
        )
      assert.deepStrictEqual(yield* traced({}), [false, false, false])
      assert.deepStrictEqual(yield* traced({ OTEL_TRACES_EXPORTER: "otlp" }), [false, false, false])
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }
      assert.deepStrictEqual(yield* traced({ ...endpoint, OTEL_SDK_DISABLED: "true" }), [false, false, false])
      assert.deepStrictEqual(yield* traced({ ...endpoint, OTEL_TRACES_EXPORTER: "none" }), [
        false,
        false,
        true
      ])
      assert.deepStrictEqual(yield* traced(endpoint), [true, true, true])
    })
  )

  it.live("settings that cannot be used are refused by name", () =>
    Effect.gen(function* () {
      const refusal = (environment: { readonly [name: string]: string }) =>
        Effect.scoped(Effect.flip(Layer.build(Telemetry.layer(environment))))
      assert.strictEqual(
        (yield* refusal({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector" })).message,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must be a URL such as http://127.0.0.1:4318"
      )
      const grpc = {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc"
      }
      assert.strictEqual(
        (yield* refusal(grpc)).message,
        "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/json or http/protobuf, not grpc"
      )
    })
  )
})
