/** `agentlip backup` and `agentlip restore`. */
import { ByteSize, Config, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Backup from "../../database/Backup.ts"
import { CommandError, fromError } from "../CommandError.ts"
import { Trust, workspaceFolder } from "../flags/Globals.ts"
import { show } from "../render/Output.ts"
import { readServerFile } from "../hub/ServerFile.ts"

const summary = ({ bytes, messages, newest_event }: Backup.Contents): string =>
  `${messages} messages, events up to ${newest_event}, ${ByteSize.format(ByteSize.bytes(bytes))}`

/** A hub on PostgreSQL may have left an old SQLite file in its workspace, which is not what it has now. */
const requireSqlite = Effect.fnUntraced(function* (workspace: string, does: string, tool: string) {
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

export const backup = Command.make(
  "backup",
  {
    file: Argument.String("FILE").pipe(Argument.withDescription("Where the copy goes")),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Replace FILE if it is there"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ file, force }) {
    const workspace = yield* workspaceFolder
    yield* requireSqlite(workspace, "agentlip backup copies", "pg_dump")
    const contents = yield* Effect.mapError(Backup.backup(workspace, file, { force }), fromError)
    yield* show({ file, ...contents }, () => `${file}: ${summary(contents)}`)
  })
).pipe(Command.withDescription("Copy the workspace's database to a file, whether its hub runs or not"))

export const restore = Command.make(
  "restore",
  { file: Argument.String("FILE").pipe(Argument.withDescription("What `agentlip backup` has made")) },
  Effect.fnUntraced(function* ({ file }) {
    const workspace = yield* workspaceFolder
    yield* requireSqlite(workspace, "agentlip restore puts back", "psql or pg_restore")
    const trust = yield* Trust
    const restored = yield* Effect.mapError(Backup.restore(workspace, file, { trust }), fromError)
    const kept = restored.kept === undefined ? "" : `\nWhat was there is kept as ${restored.kept}`
    yield* show({ file, ...restored }, () => `Restored ${summary(restored)}.${kept}`)
  })
).pipe(
  Command.withDescription("Put a backup in the place of the workspace's database; its hub must be stopped")
)
