/** Where modules inside QuickJS come from: the guest's own from its folder, a plugin's from the host's loader. */
import { isBuiltin } from "node:module"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { makeAsk, type ModuleText } from "../ahead.ts"
import type { ModuleLine, ProblemOrigin } from "../protocol.ts"

/** The scheme of the guest's own modules; a plugin cannot import them. */
export const own = "agentlip:/"
const ownFolder = new URL("../", import.meta.url)

export const realm = `${own}wasm/realm.js`
const commonjs = `${own}wasm/commonjs.js`
/** Stands for a module that cannot be had. */
const refused = `${own}refused`

/** A refusal, or what is wrong with a module. */
class ModuleProblem extends Error {
  override readonly name: string

  constructor(message: string, name = "Error") {
    super(message)
    this.name = name
  }
}

/** A plugin may try to import for ever. */
const maxOrigins = 100

const remedy = 'on isolation "wasm"; isolation "process" and "thread" have'

export class Modules {
  readonly #line: () => ModuleLine | undefined
  readonly #answered = new Map<string, ModuleText>()
  readonly #ask = makeAsk()
  #refusal: unknown
  /** Of the modules that could not be had, by what was said of each. */
  readonly #origins = new Map<string, ProblemOrigin>()

  constructor(line: () => ModuleLine | undefined) {
    this.#line = line
  }

  /** The URL of what a module asks for. */
  resolve(specifier: string, parent: string, require: boolean): ModuleText {
    if (isBuiltin(specifier)) {
      throw new ModuleProblem(`the built-in module "${specifier}" does not exist ${remedy} some of Node's`)
    }
    const line = this.#line()
    if (line === undefined) throw new ModuleProblem("only a loaded plugin may import")
    const answer = this.#ask(line, { specifier, parent, require })
    if ("error" in answer) {
      const { importer, place } = answer
      if (this.#origins.size < maxOrigins) {
        this.#origins.set(answer.error, {
          ...(importer === undefined ? {} : { importer }),
          ...(place === undefined ? {} : { place })
        })
      }
      throw new ModuleProblem(answer.error, answer.syntax ? "SyntaxError" : "Error")
    }
    if (answer.format === "wasm") {
      throw new ModuleProblem(`Cannot load "${specifier}": there is no WebAssembly ${remedy} it`)
    }
    this.#answered.set(answer.url, answer)
    return answer
  }

  /** Where a problem is from that an error inside QuickJS speaks of. */
  originOf(message: string): ProblemOrigin | undefined {
    return this.#origins.get(message)
  }

  /** As QuickJS names modules: by their URL. */
  normalize(parent: string, specifier: string): string {
    if (specifier === realm && parent === own) return specifier
    // A module's source that is made here asks for the guest's own by their full name.
    if (specifier === commonjs && this.#answered.get(parent)?.format === "commonjs") return specifier
    if (parent.startsWith(own) && specifier.startsWith(".")) return new URL(specifier, parent).href
    try {
      return this.resolve(specifier, parent, false).url
    } catch (problem) {
      // QuickJS takes no error from here; it gets it when it asks for the source.
      this.#refusal = problem
      return refused
    }
  }

  #found(url: string): ModuleText {
    const answer = this.#answered.get(url)
    if (answer === undefined) throw new ModuleProblem(`the module "${url}" is not known`)
    return answer
  }

  /** A module's text as its file has it. */
  text(url: string): string {
    return String(this.#found(url).source)
  }

  /** A module's source as an ES module; `evaluate` runs a CommonJS module and answers what it exports. */
  source(url: string, evaluate: (url: string) => ReadonlyArray<string>): string {
    if (url === refused) throw this.#refusal
    if (url.startsWith(own)) return readFileSync(new URL(url.slice(own.length), ownFolder), "utf8")
    const { format } = this.#found(url)
    const text = this.text(url)
    if (format === "json") return `export default JSON.parse(${JSON.stringify(text)})`
    return format === "commonjs" ? counterpart(url, evaluate(url)) : withMeta(url, text)
  }
}

/** The ES module that stands for a CommonJS one. */
const counterpart = (url: string, names: ReadonlyArray<string>): string =>
  [
    `import { exportsOf } from ${JSON.stringify(commonjs)}`,
    `const it = exportsOf(${JSON.stringify(url)})`,
    ...names.map((name, index) => `const e${index} = it[${JSON.stringify(name)}]`),
    `export { ${["it as default", ...names.map((name, index) => `e${index} as ${JSON.stringify(name)}`)].join(", ")} }`
  ].join("\n")

/** A source as QuickJS takes it: without a first line for shells, and without zeros, which would end it. */
export const sourceText = (source: string): string => source.replace(/^#!/, "//#!").replaceAll("\0", "\\x00")

/** QuickJS leaves it to its host to fill `import.meta`; without a line of its own, so that lines stay the author's. */
const withMeta = (url: string, source: string): string => {
  const text = sourceText(source)
  if (!text.includes("import.meta")) return text
  const filename = fileURLToPath(url)
  const meta = { url, filename, dirname: path.dirname(filename) }
  const at = text.startsWith("//#!") ? text.indexOf("\n") + 1 : 0
  return `${text.slice(0, at)}Object.assign(import.meta, ${JSON.stringify(meta)});${text.slice(at)}`
}
