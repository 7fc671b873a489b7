/** `agentlip up`: the hub of a workspace, until it is stopped. */
import { engineWarning, loadConfig, noticeText } from "@agentlip/plugin-runtime"
import { Config, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import * as Hub from "../../Hub.ts"
import { configDefaults } from "../../plugins/configDefaults.ts"
import * as LoadReport from "../../plugins/LoadReport.ts"
import * as Telemetry from "../../telemetry/Telemetry.ts"
import { Workspace } from "../../workspace/Workspace.ts"
import { fromError } from "../CommandError.ts"
import { Trust, workspaceFolder } from "../flags/Globals.ts"
import * as Log from "../flags/Log.ts"
import { readersText } from "./status.ts"
import * as Stop from "../Stop.ts"

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** The id of the one of its list that has these fields after it. */
const idOf = (rest: string): string => `sed 's/.*{"id":"\\([^"]*\\)",${rest}.*/\\1/'`

/**
 * Commands to paste into a shell, as often as one likes. The token goes from the file to curl by a pipe: it is neither
 * on a screen nor among the arguments of a process, which everybody on the machine can read.
 */
const howToPost = (url: string, serverFile: string, topic: string | undefined): ReadonlyArray<string> => [
  `  post() { sed -n 's/.*"auth_token": "\\(.*\\)".*/Authorization: Bearer \\1/p' ${quoted(serverFile)} | curl -sS -H @- -H 'Content-Type: application/json' "${url}/api/v1/$1" \${2:+-d "$2"}; echo; }`,
  ...(topic === undefined
    ? [
        `  post channels '{"name":"general"}' >/dev/null`,
        `  CHANNEL=$(post channels | ${idOf('"name":"general"')})`,
        `  post topics '{"channel_id":"'$CHANNEL'","title":"hello"}' >/dev/null`,
        `  TOPIC=$(post channels/$CHANNEL/topics | ${idOf('"channel_id":"[^"]*","title":"hello"')})`
      ]
    : [`  TOPIC=${topic}`]),
  `  post messages '{"topic_id":"'$TOPIC'","sender":"me","content_raw":"@ana, see https://example.com"}'`,
  "  post 'events?tail=5'"
]

const announce = Effect.fnUntraced(function* (format: Log.Format, readAuth: boolean) {
  const { root, serverFile } = yield* Workspace
  const { address } = yield* HttpServer.HttpServer
  const sql = yield* SqlClient.SqlClient
  const [topic] = yield* sql<{ id: string }>`SELECT id FROM topics ORDER BY id LIMIT 1`
  const url = HttpServer.formatAddress(address)
  yield* Log.say(
    format,
    [
      `The hub of ${root} is at ${url} (Ctrl-C stops it). To post a message:\n`,
      ...howToPost(url, serverFile, topic?.id),
      `\n${readersText(readAuth)}`
    ],
    [["the hub is up", { workspace: root, url, pid: process.pid, read_auth: readAuth }]]
  )
})

export const up = Command.make(
  "up",
  {
    port: Flag.Int("port").pipe(
      Flag.withAlias("p"),
      Flag.withDescription("The port on 127.0.0.1; 0 takes a free one"),
      Flag.withDefault(0)
    ),
    rateLimit: Flag.Int("rate-limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Requests a second of one client, and ten times as many in all; 0: no limits"),
      Flag.withDefault(100)
    ),
    database: Flag.Redacted("database").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "postgres://USER:PASSWORD@HOST/NAME, which other hubs may have too. Default: AGENTLIP_DATABASE, or a file in .agentlip/"
      ),
      Flag.withFallbackConfig(Config.Redacted("AGENTLIP_DATABASE")),
      Flag.optional
    ),
    redis: Flag.Redacted("redis").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "redis://USER:PASSWORD@HOST:PORT, where hubs share the circuits of their plugins. Default: AGENTLIP_REDIS, or each has its own"
      ),
      Flag.withFallbackConfig(Config.Redacted("AGENTLIP_REDIS")),
      Flag.optional
    ),
    otlp: Flag.String("otlp").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "Where traces, metrics and logs go. Default: OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere"
      ),
      Flag.optional
    ),
    readAuth: Flag.Boolean("read-auth").pipe(
      Flag.withDescription(
        "Reads need the token too, live events and metrics among them. Default: readAuth of the config, or every user of the machine can read"
      ),
      Flag.optional
    ),
    logFormat: Log.logFormat,
    node: Flag.File("node", { mustExist: true }).pipe(
      Flag.withDescription("The Node that plugins run on. Default: the hub's own, or the PATH's on Bun"),
      Flag.optional
    )
  },
  Effect.fnUntraced(
    function* ({ port, rateLimit, readAuth: readAuthFlag, database, redis, node, otlp, logFormat }) {
      const workspace = yield* workspaceFolder
      const { file, specs, disabled, ...config } = yield* loadConfig(workspace, configDefaults)
      const readAuth = Option.getOrElse(readAuthFlag, () => config.readAuth)
      const rateLimits = rateLimit === 0 ? (false as const) : { perClient: rateLimit, total: 10 * rateLimit }
      const shared = {
        ...(Option.isSome(database) ? { database: database.value } : {}),
        ...(Option.isSome(redis) ? { redis: redis.value } : {})
      }
      const trust = yield* Trust
      const options = {
        workspace,
        trust,
        port,
        rateLimits,
        readAuth,
        plugins: specs,
        reload: configDefaults,
        ...shared
      }
      const telemetry = Telemetry.layer({
        ...process.env,
        ...(Option.isSome(otlp) ? { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.value } : {})
      })
      const services = yield* Layer.build(
        Hub.live(options, Option.isSome(node) ? { node: node.value } : {}).pipe(Layer.provide(telemetry))
      )
      const known = engineWarning(process.versions.node)
      if (known !== undefined) yield* Effect.logWarning(noticeText(known))
      yield* Effect.provideContext(announce(logFormat, readAuth), services)
      const results = yield* Effect.provideContext(LoadReport.loadAll(specs), services)
      const source = file ?? "no agentlip.config.ts: none"
      yield* Log.say(
        logFormat,
        [`\nPlugins (${source}):`, ...LoadReport.render(results, disabled)],
        LoadReport.entries(results, disabled)
      )
      return yield* Effect.never
    },
    (hub, { logFormat }) => Effect.provide(Effect.scoped(hub), Log.layer(logFormat)),
    Effect.mapError(fromError),
    Stop.isServing
  )
).pipe(Command.withDescription("Start the hub of a workspace"))
