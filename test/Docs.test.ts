/**
 * Every TypeScript example in the README, in docs/ and in the library's doc comments compiles against the
 * sources; those marked `run` print what the document says they print.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect } from "effect"
import { startHub } from "../hub/test/testHub.ts"
import * as Author from "../src/author.ts"
import * as Library from "../src/index.ts"
import * as Promises from "../src/promise.ts"
import * as Testing from "../src/testing.ts"
import { type Example, examplesOf, writeFiles } from "./support/examples.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
// Below the root, so that the library is found by its own name. A dot, so that no other tool looks in.
const temporary = path.join(root, "test/.docs")
const execute = promisify(execFile)

const filesIn = (folder: string, extension: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .map((file) => path.join(folder, file))
    .sort()

const documents = ["README.md", ...filesIn("docs", ".md"), ...filesIn("src", ".ts")].flatMap((document) => {
  const examples = examplesOf(fs.readFileSync(path.join(root, document), "utf8"))
  return examples.length === 0 ? [] : [{ document, folder: document.replace(/[/.]/g, "-"), examples }]
})

const named = (module: object, from: string): string =>
  `import { ${Object.keys(module).join(", ")} } from "${from}"`

/** What a fragment may take for granted. */
const hubPreamble = [
  'import { Duration, Effect, Fiber, Layer, Logger, Metric, Result, Schedule, Schema, Stream } from "effect"',
  'import { SqlClient } from "effect/sql"',
  'import type { InputOf, MessageSnapshot, OutputOf } from "@agentlip/plugin-runtime"',
  named(Library, "@agentlip/plugin-runtime"),
  named(Promises, "@agentlip/plugin-runtime/promise"),
  named(Testing, "@agentlip/plugin-runtime/testing"),
  "declare const message: Message",
  "declare const input: MessageInput",
  "declare const modulePath: string",
  "declare const spec: PluginSpec<typeof linkifier>",
  "declare const specs: ReadonlyArray<PluginSpec<typeof linkifier>>",
  "declare const snapshot: MessageSnapshot",
  'declare const runtime: PluginRuntime["Service"]',
  'declare const breaker: CircuitBreaker["Service"]',
  "declare const fetchIssues: Effect.Effect<ReadonlyArray<string>, Error>",
  "declare const insertEnrichments: (id: string, found: ReadonlyArray<Enrichment>) => Effect.Effect<void>"
].join("\n")
const authorPreamble = named(Author, "@agentlip/plugin-runtime/plugin")

const moduleOf = (document: string, code: string): string => {
  if (/^import /m.test(code)) return code
  const isForAuthors = document === "src/author.ts" || document === "docs/plugin-authors.md"
  const preamble = isForAuthors ? authorPreamble : hubPreamble
  if (/^export /m.test(code)) return `${preamble}\n${code}`
  const body = /\bawait\b/.test(code) ? `async () => {\n${code}\n}` : `Effect.gen(function* () {\n${code}\n})`
  return `${preamble}\nexport const example = ${body}\n`
}

const write = (document: string, folder: string, examples: ReadonlyArray<Example>): void => {
  const target = path.join(temporary, folder)
  fs.mkdirSync(target, { recursive: true })
  writeFiles(examples, target)
  for (const { line, file, code } of examples) {
    if (file === undefined) fs.writeFileSync(path.join(target, `line-${line}.ts`), moduleOf(document, code))
  }
}

const tsconfig = {
  extends: "../../tsconfig.json",
  // An example may show a value that it does not go on to use.
  compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, erasableSyntaxOnly: false },
  include: ["./**/*.ts"],
  exclude: []
}

beforeAll(() => {
  fs.rmSync(temporary, { recursive: true, force: true })
  for (const { document, folder, examples } of documents) write(document, folder, examples)
  fs.writeFileSync(path.join(temporary, "tsconfig.json"), JSON.stringify(tsconfig))
})

afterAll(() => fs.rmSync(temporary, { recursive: true, force: true }))

/** GitHub's name for a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-")

const withoutCode = (text: string): string =>
  text.replace(/^```[^]*?^```/gm, "").replace(/`[^`\n]*`/g, "code")

describe("the documents", () => {
  const pages = ["README.md", "CHANGELOG.md", ...filesIn("docs", ".md")]
  const textOf = (page: string): string => fs.readFileSync(path.join(root, page), "utf8")

  it("link to what is there", () => {
    const broken = pages.flatMap((page) =>
      Array.from(withoutCode(textOf(page)).matchAll(/\]\(([^)]+)\)/g), ([, link = ""]) => link).filter(
        (link) => {
          if (/^https?:/.test(link)) return false
          const [file = "", anchor] = link.split("#")
          const target = file === "" ? page : path.join(path.dirname(page), file)
          if (!fs.existsSync(path.join(root, target))) return true
          if (anchor === undefined) return false
          const headings = textOf(target).matchAll(/^#+ (.+)$/gm)
          return !headings.some(([, heading = ""]) => anchorOf(heading) === anchor)
        }
      )
    )
    assert.deepStrictEqual(broken, [])
  })

  it("name the defaults that the code has", () => {
    const rows = textOf("README.md")
      .split("\n")
      .filter((line) => line.startsWith("| `limits."))
    for (const [limit, value] of Object.entries(Library.defaultLimits)) {
      const row = rows.find((line) => line.includes(`\`limits.${limit}\``))
      assert.include(row, value.toLocaleString("en-US"), limit)
    }
  })

  it("have every code of an error in the README's table", () => {
    const codes = Library.PluginError.members.map((member) => member.fields._tag.schema.literal)
    assert.lengthOf(codes, 6)
    assert.deepStrictEqual(
      codes.filter((code) => !textOf("README.md").includes(`\n| \`${code}\` |`)),
      []
    )
  })
})

describe("the examples of the documents", () => {
  it("are there", () => {
    const runs = documents.flatMap(({ examples }) => examples.filter(({ output }) => output !== undefined))
    assert.isAtLeast(runs.length, 3)
    assert.isTrue(documents.some(({ document }) => document.startsWith("src/")))
  })

  it("compile", { timeout: 120_000 }, async () => {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc")
    const { stdout } = await execute(process.execPath, [tsc, "-p", temporary, "--pretty", "false"]).catch(
      (error: { readonly stdout: string }) => error
    )
    assert.strictEqual(stdout, "")
  })

  for (const { document, folder, examples } of documents) {
    for (const { line, file, output } of examples) {
      if (file === undefined || output === undefined) continue
      it(`${document}:${line} ${file} prints what it says`, { timeout: 60_000 }, async () => {
        const cwd = path.join(temporary, folder)
        const run = Effect.promise(() =>
          execute(process.execPath, ["--conditions=@agentlip/source", file], { cwd })
        )
        const needsHub = document === "docs/client.md"
        const { stdout } = await Effect.runPromise(
          Effect.scoped(Effect.andThen(needsHub ? startHub({ workspace: cwd }) : Effect.void, run))
        )
        assert.strictEqual(stdout, output)
      })
    }
  }
})
