/** `agentlip restore` */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as Restore from "../../database/Restore.ts"
import { fromError } from "../CommandError.ts"
import { Trust, workspaceFolder } from "../flags/Globals.ts"
import { show } from "../render/Output.ts"
import { requireSqlite, summary } from "./requireSqlite.ts"

export const restore = Command.make(
  "restore",
  { file: Argument.String("FILE").pipe(Argument.withDescription("A file that agentlip backup wrote")) },
  Effect.fnUntraced(function* ({ file }) {
    const workspace = yield* workspaceFolder
    yield* requireSqlite(workspace, "agentlip restore puts back", "psql or pg_restore")
    const trust = yield* Trust
    const restored = yield* Effect.mapError(Restore.restore(workspace, file, { trust }), fromError)
    const kept = restored.kept === undefined ? "" : `\nWhat was there is kept as ${restored.kept}`
    yield* show({ file, ...restored }, () => `Restored ${summary(restored)}.${kept}`)
  })
).pipe(
  Command.withDescription("Replace the workspace's database with a backup; stop the hub first"),
  Command.withExamples([{ command: "agentlip down && agentlip restore ../chat-monday.sqlite3" }])
)
