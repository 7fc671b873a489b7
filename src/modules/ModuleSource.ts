/** Reads a module's file and says in what form a guest gets it; TypeScript is compiled. */
import { createHash } from "node:crypto"
import * as path from "node:path"
import { Script } from "node:vm"
import type { ModuleFormat } from "../wire/modules.ts"
import { LoadProblem } from "./LoadProblem.ts"
import type { Manifests } from "./packageManifest.ts"
import { type PlainFile, readPlain, stampOfPlain } from "./plainFiles.ts"
import { compileTypeScript } from "./typescript.ts"

export interface ModuleSource {
  readonly format: ModuleFormat
  readonly source: string | Uint8Array
  /** Changes when the file does. */
  readonly stamp: string
  /** SHA-256 of the file's bytes, in base64. */
  readonly digest: string
  /** Bytes of the file. */
  readonly size: number
}

/** Bytes of a module's file. */
export const maxBytes = 16 * 1024 * 1024

/** Bytes of TypeScript: its compiler takes memory that no limit of a thread holds. */
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

/** Whether a source is an ES module, when neither its name nor its package says so: by V8's own parser. */
const parsesAsScript = (source: string): boolean => {
  try {
    // Wrapped as a CommonJS module is, so that `return` and `require` are no errors; never run.
    void new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`)
    return true
  } catch {
    // Does not parse as a script: as a module it either does, or its error reaches the author from there.
    return false
  }
}

const formatOf = (file: string, source: string, manifests: Manifests): ModuleFormat => {
  const known = byExtension[path.extname(file)]
  if (known !== "by-package") return known ?? "module"
  const type = manifests.above(file)?.type
  if (type === "module" || type === "commonjs") return type
  return parsesAsScript(source) ? "commonjs" : "module"
}

/** Sources that have been compiled, by what they were compiled from. */
export interface CompiledSources {
  readonly find: (key: string) => Promise<string | undefined>
  readonly keep: (key: string, code: string) => void
}

const nothingCompiled: CompiledSources = { find: async () => undefined, keep: () => {} }

/** Sources by file, as long as their files stay as they are; those not asked for longest make room for others. */
export class ModuleSources {
  readonly #known = new Map<string, ModuleSource>()
  readonly #compiled: CompiledSources
  readonly #maxSize: number
  #size = 0

  constructor(
    compiled: CompiledSources = nothingCompiled,
    /** Bytes of files whose sources are kept. Default 16 MiB. */
    maxSize = 16 * 1024 * 1024
  ) {
    this.#compiled = compiled
    this.#maxSize = maxSize
  }

  async get(file: string, manifests: Manifests): Promise<ModuleSource> {
    const limit = limitOf(file)
    const { stamp } = stampOfPlain(file, limit)
    if (byExtension[path.extname(file)] === undefined) {
      throw new LoadProblem(
        `Cannot load "${file}": a module's name ends in ${Object.keys(byExtension).join(", ")}.`
      )
    }
    const known = this.#known.get(file)
    if (known?.stamp === stamp) return this.#keep(file, known)
    return this.#keep(file, await this.#read(file, readPlain(file, limit), manifests))
  }

  async #read(file: string, { bytes, stamp }: PlainFile, manifests: Manifests): Promise<ModuleSource> {
    const digest = createHash("sha256").update(bytes).digest("base64")
    const identity = { stamp, digest, size: bytes.length }
    if (file.endsWith(".wasm")) return { format: "wasm", source: new Uint8Array(bytes), ...identity }
    const text = bytes.toString("utf8")
    const source = isTypeScript(file) ? await this.#compile(file, text, digest) : text
    return { format: formatOf(file, source, manifests), source, ...identity }
  }

  async #compile(file: string, text: string, digest: string): Promise<string> {
    const key = `${digest} ${path.basename(file)}`
    const known = await this.#compiled.find(key)
    if (known !== undefined) return known
    const code = compileTypeScript(text, file)
    this.#compiled.keep(key, code)
    return code
  }

  #keep(file: string, source: ModuleSource): ModuleSource {
    this.#forget(file)
    // A map goes through its keys in the order they came in: the last one is the newest.
    this.#known.set(file, source)
    this.#size += source.size
    for (const oldest of this.#known.keys()) {
      if (this.#size <= this.#maxSize) break
      this.#forget(oldest)
    }
    return source
  }

  #forget(file: string): void {
    this.#size -= this.#known.get(file)?.size ?? 0
    this.#known.delete(file)
  }
}
