/** `.agentlip/server.json`: where clients find the running hub, and the token for its writes. Loads nothing. */

/** What `/health` and `server.json` say of the protocol. Tables of the database have versions of their own. */
export const protocolVersions = { protocol_version: "v1", schema_version: 1 } as const

/** Written by a hub when it listens, readable by its owner only, removed at a clean stop. */
export interface ServerFile {
  readonly instance_id: string
  readonly db_id: string
  /** `127.0.0.1` or `::1`. */
  readonly host: string
  readonly port: number
  readonly auth_token: string
  readonly pid: number
  readonly started_at: string
  readonly protocol_version: string
  readonly schema_version: number
  /** Missing if an older hub wrote the file. */
  readonly database?: "sqlite" | "postgresql"
}

/** Loopback names, which no other machine can use. A hub writes one of the first two. */
export const loopbackHosts: ReadonlyArray<string> = ["127.0.0.1", "::1", "localhost"]

/** The text of the file. */
export const serverFileText = (content: ServerFile): string => `${JSON.stringify(content, null, 2)}\n`

const isText = (value: unknown): value is string => typeof value === "string"
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)
const isPort = (value: unknown): value is number => isWhole(value) && value >= 1 && value <= 65_535

/** Reads the text of the file. Says what is wrong with it, without quoting it, because it holds the token. */
export const parseServerFile = (
  text: string
): { readonly server: ServerFile } | { readonly problem: string } => {
  let given: { readonly [key: string]: unknown }
  try {
    given = Object(JSON.parse(text))
  } catch {
    return { problem: "is not JSON" }
  }
  const { instance_id, db_id, host, port, auth_token, pid, started_at, database } = given
  const { protocol_version, schema_version } = { ...protocolVersions, ...given }
  if (
    !isText(instance_id) ||
    !isText(db_id) ||
    !isText(host) ||
    !isPort(port) ||
    !isText(auth_token) ||
    !isWhole(pid) ||
    !isText(started_at) ||
    !isText(protocol_version) ||
    !isWhole(schema_version)
  ) {
    return { problem: "is not what a hub writes" }
  }
  if (!loopbackHosts.includes(host)) {
    const named = JSON.stringify(host)
    return {
      problem: `is ignored, because it names the host ${named}; a hub is at ${loopbackHosts.join(", ")} only`
    }
  }
  const server = {
    instance_id,
    db_id,
    host,
    port,
    auth_token,
    pid,
    started_at,
    protocol_version,
    schema_version
  }
  return {
    server: database === "sqlite" || database === "postgresql" ? { ...server, database } : server
  }
}

/** The base URL of a hub. */
export const urlOf = ({ host, port }: Pick<ServerFile, "host" | "port">): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`
