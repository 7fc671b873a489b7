/**
 * Which files one plugin may load as modules: its own folder and the packages it depends on, never
 * `.agentlip/`. Judged on real paths, so that a link cannot stand in for what it points to.
 */
import { createRequire } from "node:module"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { contains, isHubPrivate, realOf } from "../paths.ts"
import type { ModuleRequest } from "../guest/protocol.ts"
import { packageFile } from "./packageFile.ts"

/** Where the library's own entry for plugin authors lies; plugins get it without installing anything. */
const authorEntry = "@agentlip/plugin-runtime/plugin"
const authorFile = fileURLToPath(
  new URL(`../author.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)
)

/** Whether a file is the library's own entry, part of the runtime rather than of a plugin. */
export const isLibrary = (file: string): boolean => file === authorFile

/** A refusal to load, for the plugin's author to read. */
export class ModuleRefusal extends Error {
  override name = "ModuleRefusal"
}

const namePart = /^(?:@[^/]+\/)?[^/@.][^/]*/

/** What Node takes for a path rather than the name of a package. */
const isRelative = (specifier: string): boolean => /^(?:\.{0,2}\/|\.{1,2}$)/.test(specifier)

/** Where a path or URL leads, before the disk is asked; `undefined` for names. `require` knows no URLs. */
const targetOf = (specifier: string, from: string, require: boolean): string | URL | undefined => {
  if (require) return isRelative(specifier) ? path.resolve(path.dirname(from), specifier) : undefined
  const url = isRelative(specifier) ? new URL(specifier, pathToFileURL(from)) : URL.parse(specifier)
  return url?.protocol === "file:" ? fileURLToPath(url) : (url ?? undefined)
}

/** A field of a folder's package.json; none where there is no such file or none that can be read. */
const manifestField = (folder: string, field: string): unknown => {
  try {
    const manifest: unknown = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
    return typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, field) : undefined
  } catch {
    return undefined
  }
}

const endings = [".js", ".json", ".node"]

/** What `require` tries besides the path itself. */
const tried = (target: string): ReadonlyArray<string> => [
  ...endings.map((ending) => target + ending),
  ...["package.json", ...endings.map((ending) => `index${ending}`)].map((name) => path.join(target, name))
]

const isLink = (file: string): boolean => {
  try {
    return fs.lstatSync(file).isSymbolicLink()
  } catch {
    // Not there, or below what is no folder.
    return false
  }
}

/** All texts in a value of package.json's `imports`, whatever their conditions. */
const textsIn = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : []
}

const matchesKey = (key: string, specifier: string): boolean => {
  const [before = "", after] = key.split("*")
  return after === undefined
    ? key === specifier
    : specifier.startsWith(before) && specifier.slice(before.length).endsWith(after)
}

/** The files of one plugin, as they become known while it loads. */
export class ModulePolicy {
  /** Folders the plugin may load from, with the names of the packages they are; its own has none. */
  readonly #roots: Map<string, string>
  /** The entry's real path. */
  readonly entry: string
  readonly #entryUrl: string

  constructor(entry: string) {
    this.entry = fs.realpathSync.native(entry)
    // A plugin that is a package has the package's folder; any other has the folder it lies in.
    const isPackage = this.entry.includes(`${path.sep}node_modules${path.sep}`)
    const manifest = isPackage ? packageFile(this.entry) : undefined
    this.#roots = new Map([[path.dirname(manifest ?? this.entry), ""]])
    // As a guest is told of it: on file systems that fold case, this keeps the case it was given in.
    this.#entryUrl = pathToFileURL(fs.realpathSync(entry)).href
  }

  /** The real path and URL of what a module asks for; throws a `ModuleRefusal` or Node's own resolution error. */
  resolve({ specifier, parent, require }: ModuleRequest): { readonly file: string; readonly url: string } {
    if (specifier === authorEntry) return { file: authorFile, url: pathToFileURL(authorFile).href }
    // The guest itself asks for the entry; everything after is asked for by the plugin's own modules.
    if (specifier === this.#entryUrl) return this.#found(specifier, this.entry, "")
    if (!parent.startsWith("file:")) this.#refuse(specifier, "only a module with a file may import it")
    // By what it really is: a link must not lend its place to what it leads to.
    const from = realOf(fileURLToPath(parent))
    if (!this.#admits(from)) this.#refuse(specifier, `${fileURLToPath(parent)} is not the plugin's`)

    // Judged before Node looks at the disk: what lies outside must not even be told to exist.
    const target = targetOf(specifier, from, require)
    if (target instanceof URL) {
      this.#refuse(specifier, `plugins load modules from files, not from ${target.protocol}`)
    }
    if (target !== undefined) this.#mustStay(specifier, target, require)
    else if (specifier.startsWith("#")) this.#admitMapped(specifier, from)
    else this.#admitDependency(specifier, from, require)

    const base = pathToFileURL(from).href
    const resolved = require
      ? pathToFileURL(createRequire(base).resolve(specifier))
      : new URL(import.meta.resolve(specifier, base))
    if (resolved.protocol !== "file:") {
      this.#refuse(specifier, `plugins load modules from files, not from ${resolved.protocol}`)
    }
    return this.#found(specifier, fs.realpathSync.native(fileURLToPath(resolved)), resolved.search)
  }

  /** What a file is called on every machine: by its path in the plugin, or by a package and its path in that. */
  nameOf(file: string): string {
    const folders = [...this.#roots.keys()].filter((folder) => contains(folder, file))
    const root = folders.reduce((longest, folder) => (folder.length > longest.length ? folder : longest), "")
    const inRoot = path.relative(root, file).replaceAll(path.sep, "/")
    return `${this.#roots.get(root) || "."}/${inRoot}`
  }

  #found(specifier: string, file: string, search: string): { readonly file: string; readonly url: string } {
    this.#mustAdmit(specifier, file)
    const url = pathToFileURL(file)
    url.search = search
    return { file, url: url.href }
  }

  #admits(file: string): boolean {
    if (isLibrary(file)) return true
    for (const root of this.#roots.keys()) if (contains(root, file)) return true
    return false
  }

  /** Says no more than what was asked for: where links lead to is not the plugin's to know. */
  #mustAdmit(specifier: string, real: string): void {
    if (!this.#admits(real)) {
      this.#refuse(
        specifier,
        "it leads outside the plugin's folder; move there what it needs, or make it a package the plugin depends on"
      )
    }
    if (isHubPrivate(real)) this.#refuse(specifier, "no plugin may read the hub's own folder")
  }

  /** No file that Node would look at on the way may lie outside, whether it exists or not. */
  #mustStay(specifier: string, target: string, require: boolean): void {
    this.#mustAdmit(specifier, realOf(target))
    if (!require) return
    const mustStay = (file: string): void => {
      for (const other of tried(file)) if (isLink(other)) this.#mustAdmit(specifier, realOf(other))
    }
    mustStay(target)
    const main = manifestField(target, "main")
    if (typeof main !== "string") return
    const mainFile = path.resolve(target, main)
    this.#mustAdmit(specifier, realOf(mainFile))
    mustStay(mainFile)
  }

  /** The package that a bare specifier names may load its own files; where it leads is judged afterwards. */
  #admitDependency(specifier: string, from: string, require: boolean): void {
    const name = namePart.exec(specifier)?.[0]
    // Node would follow `package/../..` out of the package, and drop white space in it before.
    if (name === undefined || /[%\\\s\p{Cc}]|(^|\/)\.{1,2}(\/|$)/u.test(specifier)) {
      this.#refuse(specifier, "it is neither a path nor the name of a package")
    }
    for (let folder = path.dirname(from); ; folder = path.dirname(folder)) {
      const candidate = path.join(folder, "node_modules", name)
      if (fs.existsSync(candidate)) {
        const real = this.#admitPackage(specifier, name, candidate)
        // Without `exports`, `import` goes by `main` too.
        return this.#mustStay(specifier, path.join(real, specifier.slice(name.length)), true)
      }
      if (folder === path.dirname(folder)) break
    }
    // `require` would go on to look into folders of the host's user.
    const own = packageFile(from)
    if (require && (own === undefined || manifestField(path.dirname(own), "name") !== name)) {
      this.#refuse(
        specifier,
        `Cannot find module '${name}' in any node_modules from ${path.dirname(from)} up`
      )
    }
  }

  /** A link is a package (of a workspace, say) only where it leads to one of that name; or it could lead anywhere. */
  #admitPackage(specifier: string, name: string, folder: string): string {
    const real = fs.realpathSync.native(folder)
    if (real !== folder && manifestField(real, "name") !== name) {
      this.#refuse(specifier, `${folder} is a link to a folder that is not the package "${name}"`)
    }
    if (isHubPrivate(real)) this.#refuse(specifier, "no plugin may read the hub's own folder")
    if (!this.#roots.has(real)) this.#roots.set(real, name)
    return real
  }

  /** The packages that `#name` may stand for, by the package.json it belongs to, which must be the plugin's. */
  #admitMapped(specifier: string, from: string): void {
    const manifest = packageFile(from)
    if (manifest === undefined || !this.#admits(realOf(manifest))) {
      this.#refuse(specifier, 'no package.json in the plugin\'s folder says what it stands for ("imports")')
    }
    const imports = manifestField(path.dirname(manifest), "imports")
    if (typeof imports !== "object" || imports === null) return
    for (const [key, value] of Object.entries(imports)) {
      if (!matchesKey(key, specifier)) continue
      for (const text of textsIn(value)) {
        if (!text.startsWith("./")) this.#admitDependency(text, manifest, false)
      }
    }
  }

  #refuse(specifier: string, why: string): never {
    throw new ModuleRefusal(`Cannot load "${specifier}": ${why}.`)
  }
}
