/** `agentlip up`: runs the hub of a workspace until it is stopped. */
import { loadConfig } from "@agentlip/plugin-runtime"
import { Duration, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Hub from "../../Hub.ts"
import { configDefaults } from "../../plugins/configDefaults.ts"
import * as LoadReport from "../../plugins/LoadReport.ts"
import * as Telemetry from "../../telemetry/Telemetry.ts"
import { fromError } from "../CommandError.ts"
import { detach } from "../up/Detach.ts"
import { ageOf } from "../flags/Age.ts"
import { Json, Trust, workspaceFolder } from "../flags/Globals.ts"
import * as Log from "../flags/Log.ts"
import { serviceFlags } from "../flags/ServiceFlags.ts"
import * as OutputFile from "../up/OutputFile.ts"
import * as Lines from "../up/lines.ts"
import * as Stop from "../Stop.ts"

/** With `--json` a hub prints one document, and its log on stderr. One in the background has a file for both. */
const printsDocument = Effect.map(Json, (json) => json && !OutputFile.isInBackground())

/** How long no client may be there. v1's flag is in milliseconds, and 0 means never. */
const idleOf = Effect.fnUntraced(function* ({
  idleShutdown,
  idleShutdownMs
}: {
  readonly idleShutdown: Option.Option<string>
  readonly idleShutdownMs: Option.Option<number>
}) {
  const millis = Option.isSome(idleShutdown)
    ? yield* ageOf("idle-shutdown", idleShutdown.value)
    : Option.getOrElse(idleShutdownMs, () => 0)
  return millis > 0 ? Duration.millis(millis) : undefined
})

export const up = Command.make(
  "up",
  {
    port: Flag.Int("port").pipe(
      Flag.withAlias("p"),
      Flag.withDescription("The port to listen on, 1 to 65535; 0: a free one. Default: 0"),
      Flag.withDefault(0)
    ),
    host: Flag.String("host").pipe(
      Flag.withDescription("The address to listen on: 127.0.0.1, ::1 or localhost. Default: 127.0.0.1"),
      Flag.withDefault("127.0.0.1")
    ),
    detach: Flag.Boolean("detach").pipe(
      Flag.withDescription(
        "Run the hub in the background: return when it is ready. Its log is .agentlip/up.log. Default: run until Ctrl-C"
      ),
      Flag.withDefault(false)
    ),
    idleShutdown: Flag.String("idle-shutdown").pipe(
      Flag.withMetavar("DURATION"),
      Flag.withDescription(
        "Stop when no client was there for so long, such as 30s, 10m or 2h, and no job is open. Default: never"
      ),
      Flag.optional
    ),
    idleShutdownMs: Flag.Int("idle-shutdown-ms").pipe(
      Flag.withDescription("Agentlip v1's --idle-shutdown, in milliseconds; 0: never"),
      Flag.withHidden,
      Flag.optional
    ),
    rateLimit: Flag.Int("rate-limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription(
        "Requests per second of one client, and ten times as many of all; 0: no limits. Default: rateLimits of the config, or 100"
      ),
      Flag.optional
    ),
    ...serviceFlags,
    otlp: Flag.String("otlp").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "Send traces, metrics and logs to this OpenTelemetry collector. Default: OTEL_EXPORTER_OTLP_ENDPOINT, or none"
      ),
      Flag.optional
    ),
    readAuth: Flag.Boolean("read-auth").pipe(
      Flag.withDescription(
        "Require the token for reads too, including live events and metrics. Default: readAuth of the config, or every user of the machine can read"
      ),
      Flag.optional
    ),
    allowOrigin: Flag.String("allow-origin").pipe(
      Flag.withMetavar("ORIGIN"),
      Flag.withDescription(
        "Let pages of this origin, such as http://localhost:5173, use the hub from a browser. Repeatable. Default: no pages but the hub's own"
      ),
      Flag.atLeast(0)
    ),
    logFormat: Log.logFormat,
    node: Flag.File("node", { mustExist: true }).pipe(
      Flag.withDescription("The Node that runs plugins. Default: the hub's own; on Bun the one on the PATH"),
      Flag.optional
    )
  },
  Effect.fnUntraced(
    function* ({
      port,
      host,
      detach: isDetached,
      rateLimit,
      readAuth: readAuthFlag,
      allowOrigin,
      database,
      redis,
      node,
      otlp,
      logFormat: givenFormat,
      ...idleFlags
    }) {
      const isJson = yield* printsDocument
      const logFormat = isJson ? "json" : givenFormat
      const workspace = yield* workspaceFolder
      const idle = yield* idleOf(idleFlags)
      // The command in the background must not start another one.
      if (isDetached && !OutputFile.isInBackground()) {
        yield* detach(workspace)
        return { served: false }
      }
      yield* OutputFile.bounded
      const { file, specs, disabled, ...config } = yield* loadConfig(workspace, configDefaults)
      const readAuth = Option.getOrElse(readAuthFlag, () => config.readAuth)
      const rateLimits = Option.match(rateLimit, {
        onNone: () => config.rateLimits ?? {},
        onSome: (perClient) => (perClient === 0 ? (false as const) : { perClient, total: 10 * perClient })
      })
      const shared = {
        ...(Option.isSome(database) ? { database: database.value } : {}),
        ...(Option.isSome(redis) ? { redis: redis.value } : {})
      }
      const trust = yield* Trust
      const options = {
        workspace,
        trust,
        port,
        host: host === "localhost" ? "127.0.0.1" : host,
        rateLimits,
        readAuth,
        allowOrigins: allowOrigin,
        plugins: specs,
        reload: configDefaults,
        ...(config.maxSockets === undefined ? {} : { maxSockets: config.maxSockets }),
        ...(config.retention === undefined ? {} : { retention: config.retention }),
        ...shared
      }
      const telemetry = Telemetry.layer({
        ...process.env,
        ...(Option.isSome(otlp) ? { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.value } : {})
      })
      const services = yield* Layer.build(
        Hub.live(options, Option.isSome(node) ? { node: node.value } : {}).pipe(Layer.provide(telemetry))
      )
      if (isJson) yield* Effect.provideContext(Lines.hubAddressDocument, services)
      yield* Lines.nodeWarning(logFormat, workspace)
      yield* Effect.provideContext(Lines.hubAddress(logFormat, readAuth), services)
      const results = yield* Effect.provideContext(LoadReport.loadAll(specs), services)
      yield* Lines.loadedPlugins(logFormat, { workspace, file, disabled }, results)
      if (config.notice !== undefined) {
        yield* Log.say(logFormat, ["", config.notice], [[config.notice, { file }]])
      }
      if (idle === undefined) return yield* Effect.never
      yield* Effect.provideContext(Hub.whenIdle(idle), services)
      yield* Effect.logInfo(`No client was there for ${Duration.format(idle)}: the hub stops`)
      return { served: true }
    },
    (hub, { logFormat }) =>
      Effect.flatMap(printsDocument, (isJson) => {
        const bye = Lines.goodbye(isJson ? "json" : logFormat)
        return Effect.scoped(hub).pipe(
          Effect.tap(({ served }) => (served ? bye : Effect.void)),
          Effect.onInterrupt(() => bye),
          Effect.provide(isJson ? Log.besideDocument : Log.layer(logFormat))
        )
      }),
    Effect.mapError(fromError),
    Stop.isServing
  )
).pipe(
  Command.withDescription("Run the hub of a workspace until Ctrl-C"),
  Command.withExamples([
    { command: "agentlip up" },
    {
      command: "agentlip up --detach --idle-shutdown 30m",
      description: "In the background, while it is used"
    },
    {
      command: "agentlip up --port 4000 --log-format json",
      description: "A fixed port, and a log for programs"
    }
  ])
)
