/** `.agentlip/server.json`: where clients find the running hub, and the token for its writes. */
import { Schema } from "effect"

/** What `/health` and `server.json` say of the protocol. Tables of the database have versions of their own. */
export const protocolVersions = { protocol_version: "v1", schema_version: 1 } as const

/** Written by a hub when it listens, readable by its owner only, removed at a clean stop. */
export const ServerFile = Schema.Struct({
  instance_id: Schema.String,
  db_id: Schema.String,
  /** `127.0.0.1` or `::1`. */
  host: Schema.String,
  port: Schema.Int,
  auth_token: Schema.String,
  pid: Schema.Int,
  started_at: Schema.String,
  protocol_version: Schema.String,
  schema_version: Schema.Int,
  database: Schema.optionalKey(Schema.Literals(["sqlite", "postgresql"]))
})
export type ServerFile = typeof ServerFile.Type

/** The base URL of a hub. */
export const urlOf = ({ host, port }: Pick<ServerFile, "host" | "port">): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`
