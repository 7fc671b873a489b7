/**
 * Which files one plugin may load as modules: its own folder and the packages it depends on, never
 * `.agentlip/`. Judged on real paths, so that a link cannot stand in for what it points to.
 */
import { createRequire } from "node:module"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { contains, isHubPrivate } from "../paths.ts"
import type { ModuleRequest } from "../guest/protocol.ts"
import { packageFile } from "./packageFile.ts"

/** Where the library's own entry for plugin authors lies; plugins get it without installing anything. */
const authorEntry = "@agentlip/plugin-runtime/plugin"
const authorFile = fileURLToPath(
  new URL(`../author.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)
)

/** A refusal to load, for the plugin's author to read. */
export class ModuleRefusal extends Error {
  override name = "ModuleRefusal"
}

const namePart = /^(?:@[^/]+\/)?[^/@.][^/]*/

const isPath = (specifier: string): boolean =>
  specifier.startsWith("./") ||
  specifier.startsWith("../") ||
  specifier.startsWith("/") ||
  specifier === "." ||
  specifier === ".." ||
  specifier.startsWith("file:")

/** What a folder's package.json calls it. */
const packageName = (folder: string): unknown => {
  try {
    const manifest: unknown = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
    return typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, "name") : undefined
  } catch {
    // No package.json, or none that can be read: no package.
    return undefined
  }
}

/** The files of one plugin, as they become known while it loads. */
export class ModulePolicy {
  readonly #roots: Set<string>
  readonly #entry: string

  constructor(entry: string) {
    const file = fs.realpathSync(entry)
    // A plugin that is a package has the package's folder; any other has the folder it lies in.
    const manifest = file.includes(`${path.sep}node_modules${path.sep}`) ? packageFile(file) : undefined
    this.#roots = new Set([path.dirname(manifest ?? file)])
    this.#entry = pathToFileURL(file).href
  }

  /** The real path and URL of what a module asks for; throws a `ModuleRefusal` or Node's own resolution error. */
  resolve({ specifier, parent, require }: ModuleRequest): { readonly file: string; readonly url: string } {
    if (specifier === authorEntry) return { file: authorFile, url: pathToFileURL(authorFile).href }
    // The guest itself asks for the entry; everything after is asked for by the plugin's own modules.
    if (specifier === this.#entry) return this.#found(specifier, fileURLToPath(this.#entry), "")
    if (!parent.startsWith("file:")) this.#refuse(specifier, "only a module with a file may import it")
    const parentFile = fileURLToPath(parent)
    if (!this.#admits(parentFile)) this.#refuse(specifier, `${parentFile} is not the plugin's`)

    // Judged before the disk is looked at: what lies outside must not even be told to exist.
    if (isPath(specifier)) this.#mustAdmit(specifier, fileURLToPath(new URL(specifier, parent)))
    else if (!specifier.startsWith("#")) this.#admitDependency(specifier, parentFile)

    const resolved = require
      ? pathToFileURL(createRequire(parent).resolve(specifier))
      : new URL(import.meta.resolve(specifier, parent))
    if (resolved.protocol !== "file:") {
      this.#refuse(specifier, `plugins load modules from files, not from ${resolved.protocol}`)
    }
    return this.#found(specifier, fs.realpathSync(fileURLToPath(resolved)), resolved.search)
  }

  #found(specifier: string, file: string, search: string): { readonly file: string; readonly url: string } {
    if (isHubPrivate(file)) this.#refuse(specifier, "no plugin may read the hub's own folder")
    this.#mustAdmit(specifier, file)
    const url = pathToFileURL(file)
    url.search = search
    return { file, url: url.href }
  }

  #admits(file: string): boolean {
    if (file === authorFile) return true
    for (const root of this.#roots) if (contains(root, file)) return true
    return false
  }

  #mustAdmit(specifier: string, file: string): void {
    if (this.#admits(file)) return
    this.#refuse(
      specifier,
      `${file} lies outside the plugin's folder; move it there, or make it a package the plugin depends on`
    )
  }

  /** The package that a bare specifier names may load its own files; where it leads is judged afterwards. */
  #admitDependency(specifier: string, parentFile: string): void {
    const name = namePart.exec(specifier)?.[0]
    // Node would follow `package/../..` out of the package.
    if (name === undefined || /[%\\]|(^|\/)\.{1,2}(\/|$)/.test(specifier)) {
      this.#refuse(specifier, "it is neither a path nor the name of a package")
    }
    for (let folder = path.dirname(parentFile); ; folder = path.dirname(folder)) {
      const candidate = path.join(folder, "node_modules", name)
      if (fs.existsSync(candidate)) return this.#admitPackage(specifier, name, candidate)
      if (folder === path.dirname(folder)) return
    }
  }

  /** A link is a package (of a workspace, say) only where it leads to one of that name; or it could lead anywhere. */
  #admitPackage(specifier: string, name: string, folder: string): void {
    const real = fs.realpathSync(folder)
    if (real !== folder && packageName(real) !== name) {
      this.#refuse(specifier, `${folder} is a link to a folder that is not the package "${name}"`)
    }
    this.#roots.add(real)
  }

  #refuse(specifier: string, why: string): never {
    throw new ModuleRefusal(`Cannot load "${specifier}": ${why}.`)
  }
}
