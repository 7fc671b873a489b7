/** Writes docs/capabilities.md from the table that the library enforces. */
import { Result } from "effect"
import * as fs from "node:fs"
import { holes, toInstall } from "../src/capabilities/engines.ts"
import { fileURLToPath } from "node:url"
import {
  checkEnforced,
  enforces,
  type LevelName,
  levelNames,
  matrix,
  names,
  platforms,
  type Subject
} from "../src/capabilities/matrix.ts"

const subjects = Object.keys(matrix) as ReadonlyArray<Subject>

const cell = (level: LevelName, subject: Subject): string => {
  const on = platforms.filter((platform) => enforces(level, subject, { platform, runtime: "node" }))
  const { how } = matrix[subject][level]
  if (on.length === 0) return `**no**: ${how}`
  return on.length === platforms.length ? how : `${on.map((platform) => names[platform]).join(", ")}: ${how}`
}

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const table = [
  row(["", ...levelNames.map((level) => `\`${level}\``)]),
  row(["---", ...levelNames.map(() => "---")]),
  ...subjects.map((subject) =>
    row([`${matrix[subject].what}`, ...levelNames.map((level) => cell(level, subject))])
  )
]

/** What a level holds on Node and loses on another runtime. */
const lost = (level: LevelName, runtime: "bun" | "oldNode"): ReadonlyArray<string> =>
  subjects
    .filter(
      (subject) =>
        enforces(level, subject, { platform: "linux", runtime: "node" }) &&
        !enforces(level, subject, { platform: "linux", runtime })
    )
    .map((subject) => matrix[subject].what)

const losses = levelNames.flatMap((level) => {
  const what = lost(level, "bun")
  return what.length === 0 ? [] : [`- \`${level}\` does not enforce: ${what.join("; ")}.`]
})

const linux = { platform: "linux", runtime: "node" } as const
const mac = { platform: "darwin", runtime: "node" } as const
const examples = [
  checkEnforced("wasm", "grants.read", linux),
  checkEnforced("process", "limits.cpu", mac),
  checkEnforced("thread", 'sandbox "bubblewrap"', linux)
].flatMap((refused) => (Result.isFailure(refused) ? [refused.failure.message] : []))

const holeRows = holes.map(({ what, fixedIn, heldBy }) =>
  row([what, fixedIn.join(", "), heldBy ?? "refused: `thread`, `process`"])
)

/** The whole file. */
export const document = `# Capabilities by level and platform

<!-- Made by scripts/matrix.ts from src/capabilities/matrix.ts, the table that the library enforces. Change that. -->

A cell says by what means a level enforces something. Where it names systems, it is enforced on those alone. **no** means that the level does not enforce it. docs/security.md says what each level holds against.

${table.join("\n")}

On Bun, processes need ${toInstall()}, on the machine, and then are as above. The other levels on Bun, and on a Node with known holes (below) where \`trusted: true\` lets threads run:

${losses.join("\n")}

## Versions of Node

Supported: ${toInstall()}. Made from src/capabilities/engines.ts, which the levels, \`agentlip doctor\` and the \`engines\` of the packages go by. A level that a hole would let plugins out of is refused; the others are closed by this library too, and the hub and \`agentlip doctor\` say so.

| in Node | fixed in | here |
| --- | --- | --- |
${holeRows.join("\n")}

## What cannot be enforced is refused

A spec that asks for what its level cannot enforce where the hub runs is not loaded. The \`LOAD_ERROR\` names the level that can:

\`\`\`text
${examples.join("\n")}
\`\`\`
`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  fs.writeFileSync(new URL("../docs/capabilities.md", import.meta.url), document)
}
