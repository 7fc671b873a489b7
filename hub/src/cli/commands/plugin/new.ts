/** `agentlip plugin new`: creates a plugin to start from. */
import { extractor, linkifier } from "@agentlip/plugin-runtime"
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import * as SafeFiles from "../../../workspace/SafeFiles.ts"
import { CommandError } from "../../CommandError.ts"
import { calledAs } from "../../calledAs.ts"
import { workspaceFolder } from "../../flags/Globals.ts"
import { show } from "../../render/Output.ts"
import { shellWord } from "../../render/shellWord.ts"
import { pathFromHere } from "../../plugins/problemHere.ts"
import { invalid } from "../../flags/SpecFlags.ts"

const templates = {
  linkifier: (name: string) => `import { linkifier } from "@agentlip/plugin-runtime/plugin"

const ticket = /\\b[A-Z]{2,10}-\\d{1,6}\\b/g

export default linkifier({
  name: "${name}",
  version: "0.1.0",
  // What it finds in a message: spans of content_raw, counted as JavaScript's strings count.
  enrich: ({ message }, { log }) => {
    log.debug(\`a message of \${message.content_raw.length} characters\`)
    return message.content_raw
      .matchAll(ticket)
      .map((match) => ({
        kind: "ticket",
        span: { start: match.index, end: match.index + match[0].length },
        data: { id: match[0] }
      }))
      .toArray()
  }
})
`,
  extractor: (name: string) => `import { extractor } from "@agentlip/plugin-runtime/plugin"

const decision = /^DECIDED: (.+)$/gm

export default extractor({
  name: "${name}",
  version: "0.1.0",
  // What it attaches to the message's topic; one attachment for each kind, key and dedupe_key.
  extract: ({ message }, { log }) => {
    log.debug(\`a message of \${message.content_raw.length} characters\`)
    return message.content_raw
      .matchAll(decision)
      .map(([, text = ""]) => ({
        kind: "decision",
        value_json: { text, by: message.sender },
        dedupe_key: text.toLowerCase()
      }))
      .toArray()
  }
})
`
} as const

const samples = { linkifier: "see OPS-42", extractor: "DECIDED: we ship" } as const

export const pluginNew = Command.make(
  "new",
  {
    name: Argument.String("NAME").pipe(
      Argument.withDescription("The name of the plugin and its file: lower case letters, digits and hyphens")
    ),
    kind: Flag.Literals("kind", [linkifier.name, extractor.name]).pipe(
      Flag.withDescription(
        "linkifier: finds spans in messages. extractor: attaches facts to topics. Default: linkifier"
      ),
      Flag.withDefault(linkifier.name)
    )
  },
  Effect.fnUntraced(function* ({ name, kind }) {
    if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) || name.length > 64)
      return yield* invalid(
        "A plugin's name has lower case letters, digits and single hyphens, and begins with a letter"
      )
    const modulePath = `./plugins/${name}.ts`
    const file = path.join(yield* workspaceFolder, modulePath)
    yield* Effect.try({
      try: () => {
        SafeFiles.requireFolder(path.dirname(file))
        fs.mkdirSync(path.dirname(file), { recursive: true })
        SafeFiles.create(file, templates[kind](name), 0o666)
      },
      catch: (error) =>
        Reflect.get(Object(error), "code") === "EEXIST"
          ? new CommandError({
              reason: `${file} is there already, and nothing is overwritten`,
              code: "EXISTS"
            })
          : new CommandError({ reason: `${file} cannot be written: ${String(error)}` })
    })
    const entry = { name, modulePath }
    yield* show({ file, kind, entry }, () => [
      `made ${pathFromHere(file)}`,
      "",
      `Try it:      ${calledAs()} plugin run ${shellWord(pathFromHere(file))} --text "${samples[kind]}"`,
      `Then add to ${kind}s in agentlip.config.ts:  { name: "${name}", modulePath: "${modulePath}" }`
    ])
  })
).pipe(
  Command.withDescription("Create plugins/NAME.ts, a small plugin that works"),
  Command.withExamples([
    { command: "agentlip plugin new tickets" },
    { command: "agentlip plugin new decisions --kind extractor" }
  ])
)
