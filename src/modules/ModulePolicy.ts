/**
 * Which files one plugin may load as modules: its own folder and the packages it depends on, never
 * `.agentlip/`. Judged on real paths, so that a link cannot stand in for what it points to.
 */
import { realpathSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { contains, isHubPrivate, realOf } from "../paths.ts"
import { LoadProblem } from "./LoadProblem.ts"
import { Manifests } from "./packageManifest.ts"

/** Where the library's own entry for plugin authors lies; plugins get it without installing anything. */
export const authorEntry = "@agentlip/plugin-runtime/plugin"
export const authorFile = fileURLToPath(
  new URL(`../author.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)
)

/** Whether a file is the library's own entry, part of the runtime rather than of a plugin. */
export const isLibrary = (file: string): boolean => file === authorFile

/** Folders a plugin may load from, each with the name of the package it is; its own has none. */
export type Roots = ReadonlyArray<readonly [folder: string, name: string]>

const refusal = (specifier: string, why: string): string =>
  `Cannot load "${specifier}": ${why}${why.endsWith("?") ? "" : "."}`

export const refuse = (specifier: string, why: string): never => {
  throw new LoadProblem(refusal(specifier, why))
}

/** As `refuse`, of what is not there. */
export const miss = (specifier: string, why: string): never => {
  throw new LoadProblem(refusal(specifier, why), { missing: true })
}

/** The files of one plugin, as they become known while it loads. */
export class ModulePolicy {
  readonly #roots: Map<string, string>
  readonly manifests: Manifests
  /** The entry's real path. */
  readonly entry: string
  /** As a guest is told of it: on file systems that fold case, this keeps the case it was given in. */
  readonly entryUrl: string

  private constructor(own: string, known: Roots, manifests: Manifests, entry: string, entryUrl: string) {
    this.#roots = new Map([[own, ""], ...known])
    this.manifests = manifests
    this.entry = entry
    this.entryUrl = entryUrl
  }

  /** Of a plugin; `known`: folders that were admitted when it loaded before. */
  static ofPlugin(given: string, known: Roots = []): ModulePolicy {
    const entry = realpathSync.native(given)
    const manifests = new Manifests()
    // A plugin that is a package has the package's folder; any other has the folder it lies in.
    const isPackage = entry.includes(`${path.sep}node_modules${path.sep}`)
    const own = (isPackage ? manifests.above(entry)?.folder : undefined) ?? path.dirname(entry)
    return new ModulePolicy(own, known, manifests, entry, pathToFileURL(realpathSync(given)).href)
  }

  /** Of what the modules of a folder may import, without an entry. */
  static ofFolder(folder: string): ModulePolicy {
    return new ModulePolicy(folder, [], new Manifests(), "", "")
  }

  get roots(): Roots {
    return [...this.#roots]
  }

  admits(file: string): boolean {
    if (isLibrary(file)) return true
    for (const root of this.#roots.keys()) if (contains(root, file)) return true
    return false
  }

  /** Says no more than what was asked for: where links lead to is not the plugin's to know. */
  mustAdmit(specifier: string, real: string): void {
    if (!this.admits(real)) {
      refuse(
        specifier,
        "it leads outside the plugin's folder; move there what it needs, or make it a package the plugin depends on"
      )
    }
    if (isHubPrivate(real)) refuse(specifier, "no plugin may read the hub's own folder")
  }

  /** The real path of a file that may be looked at, there or not. */
  realOf(specifier: string, file: string): string {
    const real = realOf(file)
    this.mustAdmit(specifier, real)
    return real
  }

  /** A link is a package (of a workspace, say) only if it leads to one of that name; or it could lead anywhere. */
  admitPackage(specifier: string, name: string, folder: string): string {
    const real = realpathSync.native(folder)
    if (isHubPrivate(real)) refuse(specifier, "no plugin may read the hub's own folder")
    if (real !== folder && this.manifests.of(real)?.name !== name) {
      refuse(specifier, `${folder} is a link to a folder that is not the package "${name}"`)
    }
    if (!this.#roots.has(real)) this.#roots.set(real, name)
    return real
  }

  /** What a file is called on every machine: by its path in the plugin, or by a package and its path in that. */
  nameOf(file: string): string {
    const folders = [...this.#roots.keys()].filter((folder) => contains(folder, file))
    const root = folders.reduce((longest, folder) => (folder.length > longest.length ? folder : longest), "")
    const inRoot = path.relative(root, file).replaceAll(path.sep, "/")
    return `${this.#roots.get(root) || "."}/${inRoot}`
  }
}
