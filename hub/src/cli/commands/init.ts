/** `agentlip init`: creates a workspace with a config file and a first plugin. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import * as SafeFiles from "../../workspace/SafeFiles.ts"
import { configNames } from "../../workspace/Ownership.ts"
import { requireShort, Workspace } from "../../workspace/Workspace.ts"
import { CommandError } from "../CommandError.ts"
import { calledAs } from "../calledAs.ts"
import { newWorkspaceFolder } from "../flags/Globals.ts"
import { show } from "../render/Output.ts"
import { shellWord } from "../render/shellWord.ts"

const config = `// Which plugins the hub of this folder runs, and what each may do. It is your own code: it runs in the hub.
// A type import only: it is gone when the file runs.
import type { AgentlipConfig } from "@agentlip/plugin-runtime"

export default {
  // Linkifiers find spans in messages; extractors attach facts to topics.
  linkifiers: [
    {
      name: "hashtags", // unique here; its circuit, its logs and its rows go by it
      modulePath: "./plugins/hashtags.ts" // a file below this folder, or an installed package
      // timeout: "2 seconds", // of one run; default 5 seconds
      // config: { ignore: ["todo"] }, // what the plugin gets as \`config\`
      // grants: { net: ["api.example.com"] }, // hosts, files or variables that it may reach; default none
      // isolation: "wasm", // default "process": a Node of its own, without any rights
      // enabled: false
    }
  ],
  extractors: []
} satisfies AgentlipConfig
`

const plugin = `// A plugin is an ES module. This one finds hashtags such as #release; spans count as JavaScript strings do.
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier<{ ignore?: ReadonlyArray<string> }>({
  name: "hashtags",
  version: "1.0.0",
  enrich: ({ message, config }) =>
    message.content_raw
      .matchAll(/#([\\p{L}\\p{N}_]+)/gu)
      .map((match) => ({
        kind: "hashtag",
        span: { start: match.index, end: match.index + match[0].length },
        data: { tag: (match[1] ?? "").toLowerCase() }
      }))
      .filter(({ data }) => !(config.ignore ?? []).includes(data.tag))
      .toArray()
})
`

const files = { "agentlip.config.ts": config, "plugins/hashtags.ts": plugin } as const

/** Checks everything before it writes, so that a refusal changes nothing. */
const make = (root: string): ReadonlyArray<string> => {
  // A file with any of these names is a config already, and two configs are an error.
  const taken = [...new Set([...configNames, ...Object.keys(files)])].filter(
    (name) => SafeFiles.statOf(path.join(root, name)) !== undefined
  )
  if (taken.length > 0) {
    throw new CommandError({
      reason: `${root} has ${taken.join(" and ")} already, and nothing is overwritten; agentlip up starts its hub`,
      code: "EXISTS"
    })
  }
  const paths = Workspace.pathsOf(root)
  requireShort(paths)
  const ignore = path.join(paths.folder, ".gitignore")
  SafeFiles.requireFolder(paths.folder)
  SafeFiles.requireFolder(path.join(root, "plugins"))
  const isIgnored = SafeFiles.requireFile(ignore)
  fs.mkdirSync(root, { recursive: true })
  SafeFiles.makeFolder(paths.folder)
  // The database and the token are private, so keep them out of the repository.
  if (!isIgnored) SafeFiles.create(ignore, "*\n")
  return Object.entries(files).map(([name, text]) => {
    const file = path.join(root, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    SafeFiles.create(file, text, 0o666)
    return file
  })
}

export const init = Command.make("init", {}, () =>
  Effect.gen(function* () {
    const workspace = yield* newWorkspaceFolder
    const created = yield* Effect.try({
      try: () => make(workspace),
      catch: (cause) =>
        cause instanceof CommandError
          ? cause
          : new CommandError({
              reason: `${workspace} cannot be made a workspace: ${cause instanceof Error ? cause.message : String(cause)}`
            })
    })
    yield* show({ workspace, created }, () => [
      ...created.map((file) => `made ${file}`),
      "",
      `Start its hub: ${calledAs()} up --workspace ${shellWord(workspace)}`
    ])
  })
).pipe(Command.withDescription("Make a workspace of a folder: a config file, and a first plugin"))
