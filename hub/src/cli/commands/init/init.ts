/** `agentlip init`: creates a workspace: a config file, a first plugin with a test, and a project around them. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import * as SafeFiles from "../../../workspace/SafeFiles.ts"
import { configNames } from "../../../workspace/Ownership.ts"
import { requireShort, Workspace } from "../../../workspace/Workspace.ts"
import { CommandError } from "../../CommandError.ts"
import { commandFor } from "../../calledAs.ts"
import { newWorkspaceFolder } from "../../flags/Globals.ts"
import { type NewFile, project, required } from "./files.ts"
import { show } from "../../render/Output.ts"
import { shellWord } from "../../render/shellWord.ts"

interface Made {
  readonly created: ReadonlyArray<NewFile>
  /** Files that existed already. */
  readonly kept: ReadonlyArray<NewFile>
}

/** Checks everything before it writes, so that a refusal changes nothing. */
const make = (root: string): Made => {
  const exists = (name: string): boolean => SafeFiles.statOf(path.join(root, name)) !== undefined
  // A file with any of these names is a config already, and two configs are an error.
  const taken = [...new Set([...configNames, ...required.map(({ name }) => name)])].filter(exists)
  if (taken.length > 0) {
    throw new CommandError({
      reason: `${root} already has ${taken.join(" and ")}; nothing was written. Start its hub: ${commandFor(root, "up")}`,
      code: "EXISTS"
    })
  }
  const paths = Workspace.pathsOf(root)
  requireShort(paths)
  const ignore = path.join(paths.folder, ".gitignore")
  SafeFiles.requireFolder(paths.folder)
  const extra = project(path.basename(root))
  const kept = extra.filter(({ name }) => exists(name))
  const created = [...required, ...extra.filter((file) => !kept.includes(file))]
  for (const { name } of created) SafeFiles.requireFolder(path.join(root, path.dirname(name)))
  const isIgnored = SafeFiles.requireFile(ignore)
  fs.mkdirSync(root, { recursive: true })
  SafeFiles.makeFolder(paths.folder)
  // The database and the token are private, so keep them out of the repository.
  if (!isIgnored) SafeFiles.create(ignore, "*\n")
  for (const { name, text } of created) {
    const file = path.join(root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    SafeFiles.create(file, text, 0o666)
  }
  return { created, kept }
}

const width = 22

const render = (root: string, { created, kept }: Made): ReadonlyArray<string> => {
  const line = ({ name, about }: NewFile): string => `  ${name.padEnd(width)}  ${about}`
  const here = path.relative(process.cwd(), root)
  const folder = here.startsWith("..") ? root : here
  // A package.json of one's own may lack what ours has.
  const prepare = kept.some(({ name }) => name === "package.json")
    ? "npm pkg set type=module && npm install --save-dev @agentlip/plugin-runtime && node --test"
    : "npm install && npm test"
  return [
    `Created in ${root}:`,
    ...created.map(line),
    ...(kept.length === 0 ? [] : ["", "Kept as they were:", ...kept.map(({ name }) => `  ${name}`)]),
    "",
    `Start the hub:    ${commandFor(root, "up")}`,
    `Test the plugin:  ${folder === "" ? "" : `cd ${shellWord(folder)} && `}${prepare}`
  ]
}

export const init = Command.make("init", {}, () =>
  Effect.gen(function* () {
    const workspace = yield* newWorkspaceFolder
    const made = yield* Effect.try({
      try: () => make(workspace),
      catch: (cause) =>
        cause instanceof CommandError
          ? cause
          : new CommandError({
              reason: `${workspace} cannot become a workspace: ${cause instanceof Error ? cause.message : String(cause)}`
            })
    })
    const filesOf = (files: ReadonlyArray<NewFile>) => files.map(({ name }) => path.join(workspace, name))
    yield* show({ workspace, created: filesOf(made.created), kept: filesOf(made.kept) }, () =>
      render(workspace, made)
    )
  })
).pipe(
  Command.withDescription(
    "Create a workspace: a config file, a first plugin with a test, and a project. Overwrites nothing"
  ),
  Command.withExamples([
    { command: "agentlip init", description: "In the current folder" },
    { command: "agentlip init --workspace chat", description: "In the folder chat, which is created" }
  ])
)
