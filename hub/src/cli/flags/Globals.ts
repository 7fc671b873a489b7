/** The flags of every command. */
import { Effect, Option } from "effect"
import { Flag, GlobalFlag } from "effect/cli"
import * as path from "node:path"
import { findWorkspace } from "@agentlip/client/Node"
import { requireTrusted, Untrusted } from "../../workspace/Ownership.ts"
import { CommandError } from "../CommandError.ts"

/** Print JSON: one document, or one per line for endless output. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withDescription("Print JSON; errors too, on stderr, as {error, code, details}"),
    Flag.withDefault(false)
  )
})

const WorkspaceFlag = GlobalFlag.Setting("workspace")({
  flag: Flag.String("workspace").pipe(
    Flag.withAlias("w"),
    Flag.withMetavar("DIR"),
    Flag.withDescription(
      "The folder that holds, or will hold, .agentlip/ and agentlip.config.ts. Default: the nearest one " +
        "upwards that holds .agentlip/, up to your home and on the same file system, or the current one"
    ),
    Flag.optional
  )
})

/** Allow files of other users. */
export const Trust = GlobalFlag.Setting("trust")({
  flag: Flag.Boolean("trust").pipe(
    Flag.withDescription("Use a workspace although it, its config or its .agentlip/ belongs to another user"),
    Flag.withDefault(false)
  )
})

export const globals = [WorkspaceFlag, Trust, Json] as const

/** The command's folder as an absolute path. It may not exist, and is not checked. */
export const namedFolder = Effect.map(WorkspaceFlag, (given) =>
  path.resolve(Option.getOrElse(given, () => findWorkspace(process.cwd()) ?? "."))
)

/** Refuses a folder with files of other users, unless `--trust` is given. */
export const trusted = Effect.fnUntraced(function* (folder: string) {
  if (yield* Trust) return folder
  return yield* Effect.try({
    try: () => {
      requireTrusted(folder)
      return folder
    },
    catch: (cause) =>
      new CommandError({
        reason: cause instanceof Error ? cause.message : String(cause),
        code: cause instanceof Untrusted ? "UNTRUSTED" : "ERROR"
      })
  })
})

/** The command's folder, after the check of its owner. */
export const workspaceFolder = Effect.flatMap(namedFolder, trusted)

/** The folder for a new workspace. It ignores workspaces further up. */
export const newWorkspaceFolder = Effect.flatMap(WorkspaceFlag, (given) =>
  trusted(path.resolve(Option.getOrElse(given, () => ".")))
)
