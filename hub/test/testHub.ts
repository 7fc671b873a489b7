/** A real hub on a port of its own, in a workspace that is thrown away. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  extractor,
  linkifier,
  makeSpec,
  type RetentionOptions
} from "@agentlip/plugin-runtime"
import { layerFakePlugins } from "@agentlip/plugin-runtime/testing"
import { parseServerFile, type ServerFile, urlOf } from "@agentlip/protocol"
import { Context, Effect, Layer, type Redacted } from "effect"
import { HttpServer } from "effect/http"
import { SqlClient, type SqlError } from "effect/sql"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Database from "../src/database/Database.ts"
import type { LiveOptions } from "../src/core/Feed.ts"
import * as Hub from "../src/Hub.ts"
import type { Hubs } from "../src/database/Hubs.ts"
import * as Postgres from "../src/database/Postgres.ts"
import * as Sqlite from "../src/database/Sqlite.ts"
import { databaseOf, makeDatabase } from "./testDatabase.ts"

/** A folder of its own, and the database of its hubs. */
export const tempWorkspace = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "hub-test-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.tap(makeDatabase))

/** A database with the hub's tables that nobody else has. */
export const emptyDatabase = Layer.unwrap(
  Effect.map(tempWorkspace, (workspace): Layer.Layer<Hubs | SqlClient.SqlClient, unknown> => {
    const { database } = databaseOf(workspace)
    return database === undefined ? Database.sqlite(":memory:") : Database.postgres(database)
  })
)

/** Asks the database of a workspace's hubs, beside them. */
export const rowsOf = Effect.fnUntraced(function* (workspace: string) {
  const { database } = databaseOf(workspace)
  const file = path.join(workspace, ".agentlip", "db.sqlite3")
  const client: Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =
    database === undefined ? Sqlite.layer({ filename: file }) : Postgres.layer({ url: database })
  const services = yield* Layer.build(client)
  const sql = Context.get(services, SqlClient.SqlClient)
  return (text: string): Effect.Effect<ReadonlyArray<Json>> => Effect.orDie(sql.unsafe(text))
})

/** JSON of any shape: tests look into it with assertions, not with types. */
// oxlint-disable-next-line typescript/no-explicit-any -- a wrong shape fails the assertion that reads it
export type Json = any

export interface Answer {
  readonly status: number
  readonly body: Json
  readonly headers: Headers
}

export interface RequestOptions {
  readonly token?: string | null
  /** Sent as it is, instead of JSON. */
  readonly raw?: string
  readonly headers?: Record<string, string>
}

export interface TestHub {
  readonly url: string
  readonly token: string
  readonly workspace: string
  readonly services: Context.Context<
    | SqlClient.SqlClient
    | CircuitBreaker
    | HttpServer.HttpServer
    | Effect.Services<ReturnType<typeof Hub.whenIdle>>
  >
  readonly get: (path: string) => Effect.Effect<Answer>
  readonly post: (path: string, body: unknown, options?: RequestOptions) => Effect.Effect<Answer>
  readonly patch: (path: string, body: unknown, options?: RequestOptions) => Effect.Effect<Answer>
  readonly request: (
    method: string,
    path: string,
    body?: unknown,
    options?: RequestOptions
  ) => Effect.Effect<Answer>
  readonly rows: (sql: string) => Effect.Effect<ReadonlyArray<Json>>
}

export const readServerFile = (workspace: string): ServerFile => {
  const parsed = parseServerFile(fs.readFileSync(path.join(workspace, ".agentlip", "server.json"), "utf8"))
  if ("problem" in parsed) throw new Error(parsed.problem)
  return parsed.server
}

export const client = (url: string, token: string) => {
  const request = (method: string, route: string, body?: unknown, options: RequestOptions = {}) =>
    Effect.promise(async (): Promise<Answer> => {
      const given = options.token === undefined ? token : options.token
      const response = await fetch(`${url}${route}`, {
        method,
        headers: {
          ...(given === null ? {} : { authorization: `Bearer ${given}` }),
          ...(body === undefined && options.raw === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers
        },
        ...(options.raw !== undefined
          ? { body: options.raw }
          : body === undefined
            ? {}
            : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      const parsed: Json = text === "" ? undefined : JSON.parse(text)
      return { status: response.status, body: parsed, headers: response.headers }
    })
  return {
    request,
    get: (route: string) => request("GET", route, undefined, { token: null }),
    post: (route: string, body: unknown, options?: RequestOptions) => request("POST", route, body, options),
    patch: (route: string, body: unknown, options?: RequestOptions) => request("PATCH", route, body, options)
  }
}

export const linkifierSpec = (name: string): ConfiguredSpec =>
  makeSpec({ name, kind: linkifier, modulePath: `/fake/${name}.ts` })
export const extractorSpec = (name: string): ConfiguredSpec =>
  makeSpec({ name, kind: extractor, modulePath: `/fake/${name}.ts` })

type Fakes = Parameters<typeof layerFakePlugins>[0]

/** A hub that ends with the scope; its plugins are functions, behind the real breaker and validation. */
export const startHub = Effect.fnUntraced(function* (
  options: {
    readonly workspace?: string
    /** Default the workspace's own. */
    readonly database?: Redacted.Redacted
    readonly plugins?: ReadonlyArray<ConfiguredSpec>
    readonly fakes?: Fakes
    readonly breaker?: Parameters<typeof layerFakePlugins>[1]
    readonly host?: string
    /** Default: any free one. */
    readonly port?: number
    readonly live?: LiveOptions
    /** Default none: tests ask as fast as they can. */
    readonly rateLimits?: Hub.HubOptions["rateLimits"]
    readonly readAuth?: boolean
    readonly allowOrigins?: ReadonlyArray<string>
    readonly connections?: Hub.HubOptions["connections"]
    readonly concurrency?: number
    readonly retention?: RetentionOptions
  } = {}
) {
  const workspace = options.workspace ?? (yield* tempWorkspace)
  const services = yield* Layer.build(
    Hub.layer({
      workspace,
      ...(options.database === undefined ? databaseOf(workspace) : { database: options.database }),
      plugins: options.plugins ?? [],
      ...options.live,
      rateLimits: options.rateLimits ?? false,
      readAuth: options.readAuth ?? false,
      allowOrigins: options.allowOrigins ?? [],
      ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
      ...(options.retention === undefined ? {} : { retention: options.retention }),
      ...(options.connections === undefined ? {} : { connections: options.connections }),
      ...(options.host === undefined ? {} : { host: options.host }),
      ...(options.port === undefined ? {} : { port: options.port })
    }).pipe(Layer.provideMerge(layerFakePlugins(options.fakes ?? {}, options.breaker)))
  )
  const server = readServerFile(workspace)
  const token = server.auth_token
  const url = urlOf(server)
  const sql = Context.get(services, SqlClient.SqlClient)
  const hub: TestHub = {
    url,
    token,
    workspace,
    services,
    ...client(url, token),
    rows: (text) => Effect.orDie(sql.unsafe(text))
  }
  return hub
})

/** Names a channel and a topic in it. */
export const makeTopic = Effect.fnUntraced(function* (hub: Pick<TestHub, "post">, name = "general") {
  const channel = yield* hub.post("/api/v1/channels", { name })
  const topic = yield* hub.post("/api/v1/topics", { channel_id: channel.body.channel.id, title: "first" })
  return { channel: String(channel.body.channel.id), topic: String(topic.body.topic.id) }
})

/** Polls a condition that a real process brings about on its own; fails when it has not in time. */
export const eventually = <A>(
  look: Effect.Effect<A>,
  holds: (value: A) => boolean,
  within = 30_000
): Effect.Effect<A> =>
  Effect.gen(function* () {
    const deadline = Date.now() + within
    while (true) {
      const value = yield* look
      if (holds(value)) return value
      if (Date.now() > deadline) {
        return yield* Effect.die(new Error(`not in ${within} ms; last seen: ${JSON.stringify(value)}`))
      }
      yield* Effect.sleep(20)
    }
  })

/** Waits until every job of a message has ended, and answers them. */
export const jobsOf = (hub: Pick<TestHub, "get">, messageId: string) =>
  eventually(
    Effect.map(
      hub.get(`/api/v1/messages/${messageId}/derivations`),
      ({ body }) => body.derivations as Json[]
    ),
    (found) => found.length > 0 && found.every(({ state }) => state !== "pending" && state !== "waiting")
  )
