/** `agentlip backup` and `agentlip restore`. */
import { ByteSize, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Backup from "../database/Backup.ts"
import { CommandError, exitCodes, fromError } from "./CommandError.ts"
import { workspaceFolder } from "./Globals.ts"
import { show } from "./Output.ts"

const summary = ({ bytes, messages, newest_event }: Backup.Contents): string =>
  `${messages} messages, events up to ${newest_event}, ${ByteSize.format(ByteSize.bytes(bytes))}`

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
    const contents = yield* Effect.mapError(Backup.backup(yield* workspaceFolder, file, { force }), fromError)
    yield* show({ file, ...contents }, () => `${file}: ${summary(contents)}`)
  })
).pipe(Command.withDescription("Copy the workspace's database to a file, whether its hub runs or not"))

export const restore = Command.make(
  "restore",
  { file: Argument.String("FILE").pipe(Argument.withDescription("What `agentlip backup` has made")) },
  Effect.fnUntraced(function* ({ file }) {
    const restored = yield* Effect.mapError(Backup.restore(yield* workspaceFolder, file), (error) =>
      error._tag === "WorkspaceLocked"
        ? new CommandError({ reason: error.message, code: "WORKSPACE_LOCKED", exitCode: exitCodes.conflict })
        : fromError(error)
    )
    const kept = restored.kept === undefined ? "" : `\nWhat was there is kept as ${restored.kept}`
    yield* show({ file, ...restored }, () => `Restored ${summary(restored)}.${kept}`)
  })
).pipe(
  Command.withDescription("Put a backup in the place of the workspace's database; its hub must be stopped")
)
