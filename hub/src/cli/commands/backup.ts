/** `agentlip backup` */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Backup from "../../database/Backup.ts"
import { fromError } from "../CommandError.ts"
import { workspaceFolder } from "../flags/Globals.ts"
import { show } from "../render/Output.ts"
import { requireSqlite, summary } from "./requireSqlite.ts"

export const backup = Command.make(
  "backup",
  {
    file: Argument.String("FILE").pipe(Argument.withDescription("The file to write")),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Replace FILE if it exists. Default: refuse"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ file, force }) {
    const workspace = yield* workspaceFolder
    yield* requireSqlite(workspace, "agentlip backup copies", "pg_dump")
    const contents = yield* Effect.mapError(Backup.backup(workspace, file, { force }), fromError)
    yield* show({ file, ...contents }, () => `${file}: ${summary(contents)}`)
  })
).pipe(
  Command.withDescription("Copy the workspace's database to a file, while the hub runs or not"),
  Command.withExamples([{ command: "agentlip backup ../chat-monday.sqlite3" }])
)
