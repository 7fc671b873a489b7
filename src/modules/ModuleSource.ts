/** Reads a module's file, finds its format, and compiles TypeScript. */
import { createHash } from "node:crypto"
import * as path from "node:path"
import { Script } from "node:vm"
import { Lru } from "../cache/Lru.ts"
import type { ModuleFormat } from "../wire/modules.ts"
import { LoadProblem } from "./LoadProblem.ts"
import type { Manifest, Manifests } from "./packageManifest.ts"
import { type PlainFile, readPlain, stampOfPlain } from "./plainFiles.ts"
import { compileTypeScript } from "./typescript.ts"

export interface ModuleSource {
  readonly format: ModuleFormat
  readonly source: string | Uint8Array
  /** Changes when the file changes. */
  readonly stamp: string
  /** SHA-256 of the file's bytes, in base64. */
  readonly digest: string
  /** The file's size in bytes. */
  readonly size: number
}

/** The most bytes of a module's file. */
export const maxBytes = 16 * 1024 * 1024

/** The most bytes of a TypeScript file. The compiler's memory is outside the limits of a thread. */
const maxTypeScript = 4 * 1024 * 1024

const byExtension: { readonly [extension: string]: ModuleFormat | "by-package" } = {
  ".mjs": "module",
  ".mts": "module",
  ".cjs": "commonjs",
  ".cts": "commonjs",
  ".json": "json",
  ".wasm": "wasm",
  ".js": "by-package",
  ".ts": "by-package"
}

const isTypeScript = (file: string): boolean => /\.[cm]?ts$/.test(file)
const limitOf = (file: string): number => (isTypeScript(file) ? maxTypeScript : maxBytes)

/** Whether a source is CommonJS, if neither its name nor its package says so. V8's own parser decides. */
const parsesAsScript = (source: string): boolean => {
  try {
    // Wrapped like a CommonJS module, so that `return` and `require` are valid. The script never runs.
    void new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`)
    return true
  } catch {
    // Not a script: the engine will parse it as a module, and report an error to the author if it is none.
    return false
  }
}

/** A line that only an ES module begins like this. */
const importOrExport = /^\s*(?:import|export)\b/m

/** The package.json that says which format a file has, if its name does not. */
const manifestOf = (file: string, manifests: Manifests): Manifest | undefined =>
  byExtension[path.extname(file)] === "by-package" ? manifests.above(file) : undefined

const formatOf = (file: string, source: string, manifest: Manifest | undefined): ModuleFormat => {
  const known = byExtension[path.extname(file)]
  if (known !== "by-package") return known ?? "module"
  if (manifest?.type === "module") return "module"
  if (manifest?.type !== "commonjs") return parsesAsScript(source) ? "commonjs" : "module"
  // `npm init` writes this type, and an engine's own error would not say so.
  if (importOrExport.test(source) && !parsesAsScript(source)) {
    throw new LoadProblem(
      `"${file}" is an ES module, but ${manifest.file} says "type": "commonjs". Write "type": "module" there, or rename the module: its name must end in .m${path.extname(file).slice(1)}.`,
      { syntax: true }
    )
  }
  return "commonjs"
}

/** A store of compiled sources. */
export interface CompiledSources {
  readonly find: (key: string) => Promise<string | undefined>
  readonly keep: (key: string, code: string) => void
}

const nothingCompiled: CompiledSources = { find: async () => undefined, keep: () => {} }

interface Known extends ModuleSource {
  /** The type that the package.json of the file states, if that says which format it has. */
  readonly packageType: unknown
}

/** A cache of sources by file. An entry is valid while its file and the type of its package are unchanged. */
export class ModuleSources {
  readonly #known: Lru<Known>
  readonly #compiled: CompiledSources

  constructor(
    compiled: CompiledSources = nothingCompiled,
    /** The most bytes of files to keep sources of. Default 16 MiB. */
    maxSize = 16 * 1024 * 1024
  ) {
    this.#compiled = compiled
    this.#known = new Lru({ maxSize, sizeOf: ({ size }) => size })
  }

  async get(file: string, manifests: Manifests): Promise<ModuleSource> {
    const limit = limitOf(file)
    const { stamp } = stampOfPlain(file, limit)
    if (byExtension[path.extname(file)] === undefined) {
      throw new LoadProblem(
        `Cannot load "${file}": a module's name ends in ${Object.keys(byExtension).join(", ")}.`
      )
    }
    const manifest = manifestOf(file, manifests)
    const known = this.#known.get(file)
    if (known?.stamp === stamp && known.packageType === manifest?.type) return known
    const read = await this.#read(file, readPlain(file, limit), manifest)
    const source: Known = { ...read, packageType: manifest?.type }
    this.#known.set(file, source)
    return source
  }

  async #read(
    file: string,
    { bytes, stamp }: PlainFile,
    manifest: Manifest | undefined
  ): Promise<ModuleSource> {
    const digest = createHash("sha256").update(bytes).digest("base64")
    const identity = { stamp, digest, size: bytes.length }
    if (file.endsWith(".wasm")) return { format: "wasm", source: new Uint8Array(bytes), ...identity }
    const text = bytes.toString("utf8")
    const source = isTypeScript(file) ? await this.#compile(file, text, digest) : text
    return { format: formatOf(file, source, manifest), source, ...identity }
  }

  async #compile(file: string, text: string, digest: string): Promise<string> {
    const key = `${digest} ${path.basename(file)}`
    const known = await this.#compiled.find(key)
    if (known !== undefined) return known
    const code = compileTypeScript(text, file)
    this.#compiled.keep(key, code)
    return code
  }
}
