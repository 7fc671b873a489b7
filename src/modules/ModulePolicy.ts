/**
 * Which files a plugin may load as modules: its own folder and the packages it depends on, but never `.agentlip/`.
 * Checks real paths, so that a link cannot hide its target.
 */
import { realpathSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { contains, isHubPrivate, realOf } from "../paths.ts"
import { LoadProblem } from "./LoadProblem.ts"
import { Manifests } from "./packageManifest.ts"
import type { SearchedPaths } from "./SearchedPaths.ts"

/** The library's own entry for plugin authors. Plugins can import it without installing anything. */
export const authorEntry = "@agentlip/plugin-runtime/plugin"
export const authorFile = fileURLToPath(
  new URL(`../author.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)
)

/** Whether a file is the library's own entry, which belongs to the runtime and not to a plugin. */
export const isLibrary = (file: string): boolean => file === authorFile

/**
 * The folders that a plugin may load from, each with its package's name. The plugin's own folder has an empty name.
 */
export type Roots = ReadonlyArray<readonly [folder: string, name: string]>

/** Throws the problem with a specifier. `missing` means that there is no such file or package. */
export const refuse = (specifier: string, why: string, missing = false): never => {
  throw new LoadProblem(`Cannot load "${specifier}": ${why}${why.endsWith("?") ? "" : "."}`, { missing })
}

/** Like `refuse`, for something that does not exist. */
export const miss = (specifier: string, why: string): never => refuse(specifier, why, true)

interface PluginPolicyOptions {
  /** Folders that were admitted when the plugin loaded before. Default: none. */
  readonly roots?: Roots | undefined
  /** Records the paths of the search. Default: they are not recorded. */
  readonly searched?: SearchedPaths | undefined
}

/** The files of one plugin, as they become known while it loads. */
export class ModulePolicy {
  readonly #roots: Map<string, string>
  readonly searched: SearchedPaths | undefined
  readonly manifests: Manifests
  /** The entry's real path. */
  readonly entry: string
  /** The entry's URL for guests. On file systems that ignore case, it keeps the case that was given. */
  readonly entryUrl: string

  private constructor(
    roots: Roots,
    manifests: Manifests,
    searched?: SearchedPaths,
    entry = "",
    entryUrl = ""
  ) {
    this.#roots = new Map(roots)
    this.manifests = manifests
    this.searched = searched
    this.entry = entry
    this.entryUrl = entryUrl
  }

  static ofPlugin(given: string, { roots = [], searched }: PluginPolicyOptions = {}): ModulePolicy {
    searched?.add(given)
    const entry = realpathSync.native(given)
    const manifests = new Manifests(searched)
    // The own folder of a plugin in a package is the package's folder; of any other plugin, the folder of its
    // entry.
    const isPackage = entry.includes(`${path.sep}node_modules${path.sep}`)
    const own = (isPackage ? manifests.above(entry)?.folder : undefined) ?? path.dirname(entry)
    const entryUrl = pathToFileURL(realpathSync(given)).href
    return new ModulePolicy([[own, ""], ...roots], manifests, searched, entry, entryUrl)
  }

  /** The policy for imports in a folder, without an entry. */
  static ofFolder(folder: string): ModulePolicy {
    return new ModulePolicy([[folder, ""]], new Manifests())
  }

  get roots(): Roots {
    return [...this.#roots]
  }

  admits(file: string): boolean {
    if (isLibrary(file)) return true
    for (const root of this.#roots.keys()) if (contains(root, file)) return true
    return false
  }

  /**
   * Throws if a file may not be loaded. The message names only the specifier, because a plugin must not learn where
   * links lead.
   */
  mustAdmit(specifier: string, real: string): void {
    if (!this.admits(real)) {
      refuse(
        specifier,
        "it leads outside the plugin's folder; move there what it needs, or make it a package the plugin depends on"
      )
    }
    if (isHubPrivate(real)) refuse(specifier, "no plugin may read the hub's own folder")
  }

  /** The real path of a file that may be accessed, whether it exists or not. */
  realOf(specifier: string, file: string): string {
    this.searched?.add(file)
    const real = realOf(file)
    this.mustAdmit(specifier, real)
    return real
  }

  /**
   * Admits a package's folder and returns its real path. A link, e.g. of a workspace, must lead to a package of
   * that name; otherwise it could lead anywhere.
   */
  admitPackage(specifier: string, name: string, folder: string): string {
    const real = realpathSync.native(folder)
    if (isHubPrivate(real)) refuse(specifier, "no plugin may read the hub's own folder")
    if (real !== folder && this.manifests.of(real)?.name !== name) {
      refuse(specifier, `${folder} is a link to a folder that is not the package "${name}"`)
    }
    if (!this.#roots.has(real)) this.#roots.set(real, name)
    return real
  }

  /**
   * A file's name, the same on every machine: its path in the plugin, or a package's name and the path in the
   * package.
   */
  nameOf(file: string): string {
    const folders = [...this.#roots.keys()].filter((folder) => contains(folder, file))
    const root = folders.reduce((longest, folder) => (folder.length > longest.length ? folder : longest), "")
    const inRoot = path.relative(root, file).replaceAll(path.sep, "/")
    return `${this.#roots.get(root) || "."}/${inRoot}`
  }
}
