/** `agentlip up`: runs the hub of a workspace until it is stopped. */
import { engineWarning, loadConfig, noticeText } from "@agentlip/plugin-runtime"
import { Console, Effect, Layer, Option } from "effect"
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
import { serviceFlags } from "../flags/ServiceFlags.ts"
import { commandFor } from "../calledAs.ts"
import { shellWord } from "../render/shellWord.ts"
import { readersText } from "../render/Readers.ts"
import * as Stop from "../Stop.ts"

/** Prints the hub's address and the first commands once it listens. */
const announce = Effect.fnUntraced(function* (format: Log.Format, readAuth: boolean) {
  const { root } = yield* Workspace
  const { address } = yield* HttpServer.HttpServer
  const sql = yield* SqlClient.SqlClient
  const [topic] = yield* sql<{ name: string; title: string }>`
    SELECT c.name, t.title FROM topics t JOIN channels c ON c.id = t.channel_id ORDER BY t.id LIMIT 1`
  const url = HttpServer.formatAddress(address)
  const where = topic === undefined ? "general/hello" : `${topic.name}/${topic.title}`
  const post = `msg send ${shellWord(where)} "Hello"${topic === undefined ? " --create" : ""}`
  yield* Log.say(
    format,
    [
      `The hub of ${root} is at ${url}. Press Ctrl-C to stop it.`,
      "",
      `  Post a message:  ${commandFor(root, post)}`,
      `  Follow events:   ${commandFor(root, "listen --since now")}`,
      `  Open the page:   ${commandFor(root, "open")}`,
      "",
      readersText(readAuth)
    ],
    [["the hub is up", { workspace: root, url, pid: process.pid, read_auth: readAuth }]]
  )
})

/** Prints one line about this version of Node. `agentlip doctor` tells more. */
const announceEngine = Effect.fnUntraced(function* (format: Log.Format) {
  const { node } = process.versions
  const known = engineWarning(node)
  if (known === undefined) return
  yield* format === "text"
    ? Console.log(`Note: Node ${node} has known holes that Agentlip closes itself; see agentlip doctor.`)
    : Effect.logWarning(noticeText(known))
})

const configSource = (workspace: string, file: string | undefined): string =>
  file ?? `none: ${workspace} has no agentlip.config.ts. Create one: ${commandFor(workspace, "init")}`

const stopped = (format: Log.Format) =>
  Log.say(format, ["", "The hub has stopped. Goodbye."], [["the hub has stopped", {}]])

export const up = Command.make(
  "up",
  {
    port: Flag.Int("port").pipe(
      Flag.withAlias("p"),
      Flag.withDescription("The port on 127.0.0.1, 1 to 65535; 0: a free one. Default: 0"),
      Flag.withDefault(0)
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
      rateLimit,
      readAuth: readAuthFlag,
      allowOrigin,
      database,
      redis,
      node,
      otlp,
      logFormat
    }) {
      const workspace = yield* workspaceFolder
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
        rateLimits,
        readAuth,
        allowOrigins: allowOrigin,
        plugins: specs,
        reload: configDefaults,
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
      yield* announceEngine(logFormat)
      yield* Effect.provideContext(announce(logFormat, readAuth), services)
      const results = yield* Effect.provideContext(LoadReport.loadAll(specs), services)
      yield* Log.say(
        logFormat,
        [`\nPlugins (${configSource(workspace, file)}):`, ...LoadReport.render(results, disabled)],
        LoadReport.entries(results, disabled)
      )
      if (config.notice !== undefined) {
        yield* Log.say(logFormat, ["", config.notice], [[config.notice, { file }]])
      }
      return yield* Effect.never
    },
    (hub, { logFormat }) =>
      Effect.scoped(hub).pipe(
        Effect.onInterrupt(() => stopped(logFormat)),
        Effect.provide(Log.layer(logFormat))
      ),
    Effect.mapError(fromError),
    Stop.isServing
  )
).pipe(
  Command.withDescription("Run the hub of a workspace until Ctrl-C"),
  Command.withExamples([
    { command: "agentlip up" },
    {
      command: "agentlip up --port 4000 --log-format json",
      description: "A fixed port, and a log for programs"
    }
  ])
)
