/** Reads a module's file and says in what form a guest gets it; TypeScript is compiled. */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Script } from "node:vm"
import { ModuleRefusal } from "./ModulePolicy.ts"
import { hasImports } from "./moduleImports.ts"
import { packageFile } from "./packageFile.ts"
import { compileTypeScript } from "./typescript.ts"

type Format = "module" | "commonjs" | "json" | "wasm"

export interface ModuleSource {
  readonly format: Format
  readonly source: string | Uint8Array
  /** Changes when the file does. */
  readonly stamp: string
  /** SHA-256 of the file's bytes, in base64. */
  readonly digest: string
  /** Bytes of the file. */
  readonly size: number
}

const maxBytes = 16 * 1024 * 1024

const byExtension: { readonly [extension: string]: Format | "by-package" } = {
  ".mjs": "module",
  ".mts": "module",
  ".cjs": "commonjs",
  ".cts": "commonjs",
  ".json": "json",
  ".wasm": "wasm",
  ".js": "by-package",
  ".ts": "by-package"
}

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

const packageType = (file: string): unknown => {
  const manifest = packageFile(file)
  if (manifest === undefined) return undefined
  try {
    const json: unknown = JSON.parse(fs.readFileSync(manifest, "utf8"))
    return typeof json === "object" && json !== null ? Reflect.get(json, "type") : undefined
  } catch {
    throw new ModuleRefusal(`Cannot load "${file}": ${manifest} is not valid JSON.`)
  }
}

const formatOf = (file: string, source: string): Format => {
  const known = byExtension[path.extname(file)]
  if (known !== "by-package") return known ?? "module"
  const type = packageType(file)
  if (type === "module" || type === "commonjs") return type
  return parsesAsScript(source) ? "commonjs" : "module"
}

/** Reads a file that was last seen with this stamp. */
export const readSource = (file: string, stamp: string): ModuleSource => {
  const extension = path.extname(file)
  if (byExtension[extension] === undefined) {
    throw new ModuleRefusal(
      `Cannot load "${file}": a module's name ends in ${Object.keys(byExtension).join(", ")}.`
    )
  }
  const bytes = fs.readFileSync(file)
  const identity = { stamp, digest: createHash("sha256").update(bytes).digest("base64"), size: bytes.length }
  if (extension === ".wasm") return { format: "wasm", source: new Uint8Array(bytes), ...identity }
  const text = bytes.toString("utf8")
  const isTypeScript = extension === ".ts" || extension === ".mts" || extension === ".cts"
  const source = isTypeScript ? compileTypeScript(text, file) : text
  return { format: formatOf(file, source), source, ...identity }
}

/** A file's identity, as far as a change of content shows in it, and its bytes. */
const look = (file: string): { readonly stamp: string; readonly size: number } => {
  const stat = fs.statSync(file, { bigint: true })
  if (!stat.isFile()) throw new ModuleRefusal(`Cannot load "${file}": it is not a file.`)
  if (stat.size > maxBytes) {
    throw new ModuleRefusal(
      `Cannot load "${file}": it has ${stat.size} bytes, a module may have ${maxBytes}.`
    )
  }
  return { stamp: `${stat.ino}:${stat.size}:${stat.mtimeNs}`, size: Number(stat.size) }
}

/** Bytes of a file that takes longer to compile than others should wait: some milliseconds. */
const heavy = 64 * 1024

export interface HeavyFile {
  readonly file: string
  readonly stamp: string
  readonly size: number
  /** Whether what it imports is to be found out as well. */
  readonly imports: boolean
}

/** How a heavy file is read. */
export type ReadHeavy = (file: HeavyFile) => Promise<ModuleSource>

/** Sources by file, as long as their files stay as they are; those not asked for longest make room for others. */
export class ModuleSources {
  readonly #known = new Map<string, ModuleSource>()
  /** Heavy files that are being read, by file and stamp. */
  readonly #reading = new Map<string, Promise<ModuleSource>>()
  readonly #readHeavy: ReadHeavy
  readonly #maxSize: number
  #size = 0

  constructor(
    /** Default: like any other. */
    readHeavy: ReadHeavy = async ({ file, stamp }) => readSource(file, stamp),
    /** Bytes of files whose sources are kept. Default 64 MiB. */
    maxSize = 64 * 1024 * 1024
  ) {
    this.#readHeavy = readHeavy
    this.#maxSize = maxSize
  }

  /** With `imports`, `importsOf` its answer takes no time. */
  async get(file: string, imports = false): Promise<ModuleSource> {
    const { stamp, size } = look(file)
    const known = this.#known.get(file)
    const isHeavy = size >= heavy
    if (known?.stamp === stamp && !(isHeavy && imports && !hasImports(known))) return this.#keep(file, known)
    return this.#keep(
      file,
      isHeavy ? await this.#readOnce({ file, stamp, size, imports }) : readSource(file, stamp)
    )
  }

  #readOnce(file: HeavyFile): Promise<ModuleSource> {
    const key = JSON.stringify(file)
    const under = this.#reading.get(key)
    if (under !== undefined) return under
    const reading = this.#readHeavy(file).finally(() => this.#reading.delete(key))
    this.#reading.set(key, reading)
    return reading
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
