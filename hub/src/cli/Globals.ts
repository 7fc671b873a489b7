/** The flags that every command takes. */
import { Effect, Option } from "effect"
import { Flag, GlobalFlag } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"

/** Whether output is for machines: one JSON document, or one a line for what does not end. */
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
        "upwards that holds .agentlip/, or the current one"
    ),
    Flag.optional
  )
})

export const globals = [WorkspaceFlag, Json] as const

/** The nearest folder from here upwards that is a workspace already. */
const nearest = (from: string): string | undefined => {
  if (fs.statSync(path.join(from, ".agentlip"), { throwIfNoEntry: false })?.isDirectory() === true)
    return from
  const parent = path.dirname(from)
  return parent === from ? undefined : nearest(parent)
}

/** The folder that the command is about, as an absolute path; it need not exist. */
export const workspaceFolder = Effect.map(WorkspaceFlag, (given) =>
  path.resolve(Option.getOrElse(given, () => nearest(process.cwd()) ?? "."))
)

/** The same for a command that makes a workspace: one further up is another's. */
export const newWorkspaceFolder = Effect.map(WorkspaceFlag, (given) =>
  path.resolve(Option.getOrElse(given, () => "."))
)
