/**
 * The code examples of a document, by their fences:
 *
 * - ` ```ts file=plugins/todos.ts ` is a file of that name; a document's files can import each other.
 * - ` ```ts file=hub.ts run ` is also run, and prints what the next ` ```text ` block says.
 * - ` ```ts ` is a module if it imports something, else a fragment (see `test/Docs.test.ts`).
 *
 * As a script it writes a document's files into a folder, and what `hub.ts` prints into `hub.ts.txt`:
 * `node test/support/examples.ts README.md folder`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export interface Example {
  /** The line of the document its code begins after. */
  readonly line: number
  readonly file: string | undefined
  readonly code: string
  /** What it prints when it is run; `undefined` if it is not to be run. */
  readonly output: string | undefined
}

/** Fences may stand behind the ` * ` of a doc comment. */
const fence =
  /^(?<margin>[ \t]*(?:\*[ \t]?)?)```(?<language>\w*)(?<options>.*)\n(?<body>[^]*?)^\k<margin>```[ \t]*$/gm

/** Every TypeScript example of a text. */
export const examplesOf = (text: string): ReadonlyArray<Example> => {
  const blocks = Array.from(text.matchAll(fence), ({ index, groups = {} }) => ({
    line: text.slice(0, index).split("\n").length,
    language: groups["language"],
    options: (groups["options"] ?? "").trim().split(/\s+/),
    body: (groups["body"] ?? "")
      .split("\n")
      .map((line) => line.slice(groups["margin"]?.length ?? 0))
      .join("\n")
  }))
  return blocks.flatMap(({ line, language, options, body }, index): ReadonlyArray<Example> => {
    if (language !== "ts") return []
    const file = options.find((option) => option.startsWith("file="))?.slice("file=".length)
    const next = blocks[index + 1]
    if (!options.includes("run")) return [{ line, file, code: body, output: undefined }]
    if (file === undefined) throw new Error(`line ${line}: an example that is run needs a file`)
    if (next?.language !== "text")
      throw new Error(`line ${line}: no \`\`\`text block with its output follows`)
    return [{ line, file, code: body, output: next.body }]
  })
}

/** Writes the examples that are files. */
export const writeFiles = (examples: ReadonlyArray<Example>, folder: string): void => {
  for (const { file, code } of examples) {
    if (file === undefined) continue
    const target = path.join(folder, file)
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.writeFileSync(target, code)
  }
}

const [, script, document, folder] = process.argv
if (script === fileURLToPath(import.meta.url) && document !== undefined && folder !== undefined) {
  const examples = examplesOf(fs.readFileSync(document, "utf8"))
  writeFiles(examples, folder)
  for (const { file, output } of examples)
    if (file !== undefined && output !== undefined) fs.writeFileSync(path.join(folder, `${file}.txt`), output)
}
