/** The source of modules inside QuickJS: the guest's own come from its folder, a plugin's from the host's loader. */
import { isBuiltin, SourceMap } from "node:module"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { reexport } from "../shared/reexport.ts"
import { makeModuleRequester, type ModuleText } from "../shared/PreloadedModules.ts"
import type { ModuleLine, ProblemOrigin } from "../../wire/modules.ts"

/** The guest's own code, bundled into one file. Plugins cannot import it. */
export const realm = "agentlip:realm"
const realmFile = new URL("realm.js", import.meta.url)
/** The name of the code that imports the realm. */
export const first = "agentlip:first"
/** The URL that stands for a refused module. */
const refused = "agentlip:refused"

const missingExport = /^Could not find export '(.+)' in module '(.+)'$/
const placeInText = /(file:\/\/[^\s()"\\]+?):(\d+):(\d+)/g
const mapComment = "//# sourceMappingURL=data:application/json;base64,"

/** In characters. The map may be the plugin's own, and the parsed map is many times as large. */
const maxMap = 512 * 1024

/** The source map in the last line of a source, as the host's compiler writes it. */
const sourceMapOf = (source: string | Uint8Array | undefined): SourceMap | undefined => {
  if (typeof source !== "string") return undefined
  const at = source.lastIndexOf("\n") + 1
  if (!source.startsWith(mapComment, at) || source.length - at > maxMap) return undefined
  try {
    const json = Buffer.from(source.slice(at + mapComment.length), "base64").toString("utf8")
    return new SourceMap(JSON.parse(json))
  } catch {
    // Not a map by the host's compiler: keep the lines as they are.
    return undefined
  }
}

/** In characters. Longer sources are not searched for an import. */
const maxSearched = 256 * 1024

/** The line and column of a name in the statement that imports it. */
const importPlace = (
  source: string,
  name: string,
  specifier: string
): { readonly line: number; readonly column: number } | undefined => {
  if (source.length > maxSearched) return undefined
  const statement = new RegExp(
    `\\b(?:import|export)\\b[^;'"]*?\\b${RegExp.escape(name)}\\b[^;'"]*?\\bfrom\\s*["']${RegExp.escape(specifier)}["']`
  ).exec(source)
  if (statement === null) return undefined
  const at = statement.index + Math.max(0, statement[0].search(new RegExp(`\\b${RegExp.escape(name)}\\b`)))
  const before = source.slice(0, at).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** A limit, because a plugin may try imports forever. */
const maxOrigins = 100

const remedy = 'on isolation "wasm"; isolation "process" and "thread" have'

export class EngineModules {
  readonly #line: () => ModuleLine | undefined
  readonly #answered = new Map<string, ModuleText>()
  readonly #ask = makeModuleRequester()
  /** Source maps by URL, for the modules whose lines were asked for; `undefined` if a source has no map. */
  readonly #maps = new Map<string, SourceMap | undefined>()
  #refusal: unknown
  readonly #asked: Array<{ readonly specifier: string; readonly parent: string; readonly url: string }> = []
  /** Where refused modules were imported, by the error's message. */
  readonly #origins = new Map<string, ProblemOrigin>()

  constructor(line: () => ModuleLine | undefined) {
    this.#line = line
  }

  /** Resolves and fetches the module that `parent` requests by a specifier. */
  resolve(specifier: string, parent: string, require: boolean): ModuleText {
    if (isBuiltin(specifier)) {
      throw new Error(`the built-in module "${specifier}" does not exist ${remedy} some of Node's`)
    }
    const line = this.#line()
    if (line === undefined) throw new Error("only a loaded plugin may import")
    const answer = this.#ask(line, { specifier, parent, require })
    if ("error" in answer) {
      const { error, syntax, ...origin } = answer
      if (this.#origins.size < maxOrigins) this.#origins.set(error, origin)
      throw syntax === true ? new SyntaxError(error) : new Error(error)
    }
    if (answer.format === "wasm") {
      throw new Error(`Cannot load "${specifier}": there is no WebAssembly ${remedy} it`)
    }
    this.#answered.set(answer.url, answer)
    this.#asked.push({ specifier, parent, url: answer.url })
    return answer
  }

  /** Where the problem behind an error message of QuickJS comes from. */
  originOf(message: string): ProblemOrigin | undefined {
    const [, name, url] = missingExport.exec(message) ?? []
    return name === undefined ? this.#origins.get(message) : this.#importOf(name, url)
  }

  /**
   * Finds the module that imports a name that another module does not export. QuickJS names only the other module.
   */
  #importOf(name: string, url: string | undefined): ProblemOrigin | undefined {
    for (const asked of this.#asked) {
      const source = this.#answered.get(asked.parent)?.source
      if (asked.url !== url || typeof source !== "string") continue
      const found = importPlace(source, name, asked.specifier)
      if (found === undefined) continue
      const file = fileURLToPath(asked.parent)
      return { importer: file, place: { file, ...found, frame: "" } }
    }
    return undefined
  }

  /** Replaces places in compiled sources, e.g. in a stack, with the places in the author's source. */
  inAuthorLines(text: string): string {
    if (!text.includes("file://")) return text
    return text.replaceAll(placeInText, (place: string, url: string, line: string, column: string) => {
      const found = this.#mapOf(url)?.findOrigin(Number(line), Number(column))
      return found !== undefined && "lineNumber" in found
        ? `${url}:${found.lineNumber}:${found.columnNumber}`
        : place
    })
  }

  #mapOf(url: string): SourceMap | undefined {
    if (!this.#maps.has(url)) this.#maps.set(url, sourceMapOf(this.#answered.get(url)?.source))
    return this.#maps.get(url)
  }

  /** The name of a module for QuickJS, which is its URL. */
  normalize(parent: string, specifier: string): string {
    // The ES module made here for a CommonJS module imports the realm, too.
    if (specifier === realm && (parent === first || this.#answered.get(parent)?.format === "commonjs"))
      return specifier
    try {
      return this.resolve(specifier, parent, false).url
    } catch (problem) {
      // QuickJS accepts no error here. `source` throws it when QuickJS asks for the module's source.
      this.#refusal = problem
      return refused
    }
  }

  #found(url: string): ModuleText {
    const answer = this.#answered.get(url)
    if (answer === undefined) throw new Error(`the module "${url}" is not known`)
    return answer
  }

  text(url: string): string {
    return String(this.#found(url).source)
  }

  /** A module's source as an ES module. `evaluate` runs a CommonJS module and returns the names of its exports. */
  source(url: string, evaluate: (url: string) => ReadonlyArray<string>): string {
    if (url === refused) throw this.#refusal
    if (url === realm) return readFileSync(realmFile, "utf8")
    const { format } = this.#found(url)
    const text = this.text(url)
    if (format === "json") return `export default JSON.parse(${JSON.stringify(text)})`
    return format === "commonjs" ? counterpart(url, evaluate(url)) : withMeta(url, text)
  }
}

/** The ES module that re-exports a CommonJS module. */
const counterpart = (url: string, names: ReadonlyArray<string>): string =>
  `import { exportsOf } from "${realm}"\n${reexport(`exportsOf(${JSON.stringify(url)})`, names, ["default"])}`

/**
 * Prepares a source for QuickJS: comments out a `#!` line, and escapes zero characters, which would end the source.
 */
export const sourceText = (source: string): string => source.replace(/^#!/, "//#!").replaceAll("\0", "\\x00")

/** Sets `import.meta`, which QuickJS leaves empty. It adds no line, so that line numbers stay the author's. */
const withMeta = (url: string, source: string): string => {
  const text = sourceText(source)
  if (!text.includes("import.meta")) return text
  const filename = fileURLToPath(url)
  const meta = { url, filename, dirname: path.dirname(filename) }
  const at = text.startsWith("//#!") ? text.indexOf("\n") + 1 : 0
  return `${text.slice(0, at)}Object.assign(import.meta, ${JSON.stringify(meta)});${text.slice(at)}`
}
