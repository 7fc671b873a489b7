/**
 * The public API as text: what each entry point exports, with its types and without its docs. Read from the declarations
 * that tsc writes. A test compares it with the committed reports, so that no change of the API goes unseen.
 *
 *   npm run generate:api
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Package {
  /** Its folder, from the root. */
  readonly folder: string
  readonly report: string
}

export const packages: ReadonlyArray<Package> = [
  { folder: ".", report: "docs/api/plugin-runtime.txt" },
  { folder: "protocol", report: "docs/api/protocol.txt" },
  { folder: "client", report: "docs/api/client.txt" }
]

/** The statements of a declaration file: each begins at the start of a line, and no line within one does but its end. */
const statementsOf = (text: string): ReadonlyArray<string> => {
  const statements: Array<string> = []
  const withoutDocs = text.replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, "").replace(/^\/\/.*\n/gm, "")
  for (const line of withoutDocs.split("\n")) {
    if (/^(?:export|declare|import|interface|type|abstract|class|const)\b/.test(line)) statements.push(line)
    else if (line !== "" && statements.length > 0) statements.push(`${statements.pop()}\n${line}`)
  }
  return statements
}

const declared =
  /^(?:export )?(?:declare )?(?:abstract )?(?:const|let|var|function|class|interface|type|enum|namespace) ([\w$]+)/

/** Names with what they are declared as; a name can be a value and a type. */
type Names = Map<string, Set<string>>

const add = (names: Names, name: string, texts: Iterable<string>): void => {
  const known = names.get(name) ?? new Set()
  for (const text of texts) known.add(text)
  names.set(name, known)
}

/** What a file exports by each name. */
const exportsOf = (file: string, known: Map<string, Names>): Names => {
  const before = known.get(file)
  if (before !== undefined) return before
  const names: Names = new Map()
  known.set(file, names)
  const own: Names = new Map()
  const imported = new Map<string, { readonly file: string; readonly name: string }>()
  const fileOf = (specifier: string): string =>
    path.resolve(path.dirname(file), specifier.replace(/\.[tj]s$/, ".d.ts"))
  const statements = statementsOf(fs.readFileSync(file, "utf8"))
  for (const statement of statements) {
    const [, name] = declared.exec(statement) ?? []
    if (name !== undefined) add(own, name, [statement])
    const [, list = "", from = ""] = /^import (?:type )?\{([\s\S]*)\} from "(\.[^"]+)"/.exec(statement) ?? []
    for (const item of list.split(",")) {
      const [, name = "", alias = name] = /^\s*(?:type )?([\w$]+)(?: as ([\w$]+))?\s*$/.exec(item) ?? []
      if (name !== "") imported.set(alias, { file: fileOf(from), name })
    }
  }
  for (const statement of statements) {
    const [, all] = /^export \* from "(\.[^"]+)"/.exec(statement) ?? []
    if (all !== undefined) {
      for (const [name, texts] of exportsOf(fileOf(all), known)) add(names, name, texts)
      continue
    }
    const [isList, list = "", from] =
      /^export (?:type )?\{([\s\S]*)\}(?: from "([^"]+)")?/.exec(statement) ?? []
    if (isList !== undefined) {
      for (const item of list.split(",")) {
        const [, name = "", alias = name] = /^\s*(?:type )?([\w$]+)(?: as ([\w$]+))?\s*$/.exec(item) ?? []
        if (name === "") continue
        const source = from?.startsWith(".") ? { file: fileOf(from), name } : imported.get(name)
        const texts = source === undefined ? own.get(name) : exportsOf(source.file, known).get(source.name)
        add(names, alias, texts ?? [`from "${from ?? ""}"`])
      }
      continue
    }
    const [, name] = declared.exec(statement) ?? []
    if (name === undefined || !statement.startsWith("export")) continue
    add(names, name, [statement])
    // tsc gives the base of a service or an error class a name of its own.
    const base = own.get(`${name}_base`)
    if (base !== undefined) add(names, name, base)
  }
  return names
}

interface Manifest {
  readonly name: string
  readonly exports: { readonly [entry: string]: string | { readonly types: string } }
}

const declarationsOf = (folder: string): string => {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-api-"))
  const project = path.join(root, folder, "tsconfig.build.json")
  execFileSync(
    process.execPath,
    [
      path.join(root, "node_modules", "typescript", "bin", "tsc"),
      "-p",
      project,
      "--emitDeclarationOnly",
      "--declarationMap",
      "false",
      "--sourceMap",
      "false",
      "--outDir",
      out
    ],
    { cwd: root, stdio: "inherit" }
  )
  return out
}

/** The report of a package: its entry points in their order, and names in theirs. */
export const reportOf = ({ folder }: Package): string => {
  const manifest: Manifest = JSON.parse(fs.readFileSync(path.join(root, folder, "package.json"), "utf8"))
  const out = declarationsOf(folder)
  try {
    const known = new Map<string, Names>()
    const entries = Object.entries(manifest.exports).flatMap(([entry, target]) => {
      if (typeof target === "string") return []
      const file = path.join(out, target.types.replace(/^\.\/dist\//, ""))
      const names = [...exportsOf(file, known)].toSorted(([one], [other]) => (one < other ? -1 : 1))
      const texts = names.map(([name, statements]) => `# ${name}\n${[...statements].toSorted().join("\n")}`)
      return [`## ${path.posix.join(manifest.name, entry)}\n\n${texts.join("\n\n")}\n`]
    })
    return `Written by npm run generate:api\n\n${entries.join("\n")}`
  } finally {
    fs.rmSync(out, { recursive: true })
  }
}

export const committed = ({ report }: Package): string => fs.readFileSync(path.join(root, report), "utf8")

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  fs.mkdirSync(path.join(root, "docs", "api"), { recursive: true })
  for (const each of packages) fs.writeFileSync(path.join(root, each.report), reportOf(each))
}
