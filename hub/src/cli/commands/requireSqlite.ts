/** Shared by `agentlip backup` and `agentlip restore`. */
import { ByteSize, Config, Effect, Option } from "effect"
import type { Contents } from "../../database/Contents.ts"
import { CommandError } from "../CommandError.ts"
import { readServerFile } from "../hub/HubClient.ts"
import { counted } from "../render/counted.ts"
import { grouped } from "../render/grouped.ts"

export const summary = ({ bytes, messages, newest_event }: Contents): string =>
  `${counted(messages, "message")}, events up to ${grouped(newest_event)}, ${ByteSize.format(ByteSize.bytes(bytes))}`

/**
 * Refuses if the hub uses PostgreSQL. Its workspace may still have an old SQLite file, which is not its current
 * database.
 */
export const requireSqlite = Effect.fnUntraced(function* (workspace: string, does: string, tool: string) {
  const server = yield* Effect.option(readServerFile(workspace))
  const why =
    Option.isSome(server) && server.value.database === "postgresql"
      ? "the hub of this workspace keeps its database on PostgreSQL"
      : Option.isSome(yield* Config.option(Config.Redacted("AGENTLIP_DATABASE")))
        ? "AGENTLIP_DATABASE names a PostgreSQL database; unset it if this workspace has a SQLite file"
        : undefined
  if (why === undefined) return
  return yield* new CommandError({
    reason: `${does} SQLite databases only, and ${why}. For PostgreSQL use ${tool}`,
    code: "NOT_SQLITE"
  })
})
