/** Serves one guest: the plugin's entry, the modules it requests, and modules sent ahead. */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type FileStates, statesOf } from "../fileStates.ts"
import { type FrameHead, type ModulePlace, type ModuleRefused, type ModuleRequest } from "../wire/modules.ts"
import { eagerImports, lexerReady } from "./moduleImports.ts"
import { importPlace } from "./importPlace.ts"
import type { Conditions } from "./conditions.ts"
import { LoadProblem, messageOf } from "./LoadProblem.ts"
import type { Given, PluginModules } from "./loaderMessages.ts"
import { type Modules, openModules } from "./moduleGraph.ts"
import { ModulePolicy, type Roots } from "./ModulePolicy.ts"
import { ModuleResolver } from "./ModuleResolver.ts"
import { type Asked, ModulesAhead } from "./ModulesAhead.ts"
import type { ModuleSources } from "./ModuleSource.ts"
import { readPlain } from "./plainFiles.ts"
import type { SearchedPaths } from "./SearchedPaths.ts"
import { CompilerTrap } from "./typescript.ts"

/** The most bytes of a module that is searched for the place of an import. */
const maxSearched = 1024 * 1024

/** Parses a guest's request. The text may come from a plugin, so it is checked. */
export const requestIn = (text: string): ModuleRequest | undefined => {
  try {
    const { specifier, parent, require } = JSON.parse(text)
    const sound = typeof specifier === "string" && typeof parent === "string" && typeof require === "boolean"
    return sound ? { specifier, parent, require } : undefined
  } catch {
    // Not valid JSON, or not an object.
    return undefined
  }
}

const bytesOf = (source: string | Uint8Array): Uint8Array =>
  typeof source === "string" ? Buffer.from(source) : source

interface ModuleServerOptions {
  readonly plugin: PluginModules
  readonly sources: ModuleSources
  readonly conditions: Conditions
  /** Those of an earlier server of this guest. */
  readonly roots?: Roots | undefined
  /** Records the paths that `first` searches. */
  readonly searched?: SearchedPaths | undefined
}

export class ModuleServer {
  readonly #policy: ModulePolicy
  readonly #opened: Promise<Modules>

  constructor({ plugin, sources, conditions, roots, searched }: ModuleServerOptions) {
    const { entry, integrity } = plugin
    this.#policy = ModulePolicy.ofPlugin(entry, { roots, searched })
    const resolver = new ModuleResolver(this.#policy, conditions)
    this.#opened = openModules({ policy: this.#policy, resolver, sources }, integrity)
    // `#get` reports the error; this prevents an unhandled rejection.
    this.#opened.catch(() => {})
  }

  async #get(request: ModuleRequest): Promise<Asked> {
    return { request, module: await (await this.#opened).get(request) }
  }

  /** The entry, the modules it imports, and the modules that earlier guests of the plugin requested. */
  async first(known: ReadonlyArray<string>, watch: ReadonlyArray<string>): Promise<Given> {
    const watched = statesOf(watch)
    const request: ModuleRequest = { specifier: this.#policy.entryUrl, parent: "", require: false }
    try {
      const entry = await this.#get(request)
      await lexerReady
      const ahead = new ModulesAhead(entry)
      const stale: Array<string> = []
      for (const text of known) {
        const asked = requestIn(text)
        if (asked !== undefined && !(await this.#sendAhead(ahead, asked))) stale.push(text)
      }
      // Iteration over a map includes entries that are added meanwhile.
      for (const [parent, { source }] of ahead.modules) {
        for (const found of eagerImports(source)) {
          if (ahead.isFull) break
          await this.#sendAhead(ahead, { ...found, parent })
        }
      }
      const given = this.#given([...ahead.asked.values()], watched, stale)
      return { ...given, searched: this.#policy.searched?.end((real) => this.#policy.admits(real)) }
    } catch (error) {
      return { ...this.#failed(request, error), watched: [...watched] }
    }
  }

  /**
   * Adds a module to send ahead. Returns false if it cannot be loaded: the guest gets the error when it requests
   * the module.
   */
  async #sendAhead(ahead: ModulesAhead, request: ModuleRequest): Promise<boolean> {
    if (ahead.isFull || ahead.has(request)) return true
    try {
      ahead.add(await this.#get(request))
      return true
    } catch (error) {
      if (error instanceof CompilerTrap) throw error
      // It may be a path that the policy refuses. The host must never look at one, so it does not keep this frame.
      if (!(error instanceof LoadProblem && error.missing)) this.#policy.searched?.giveUp()
      return false
    }
  }

  async answer(request: ModuleRequest): Promise<Given> {
    try {
      return this.#given([await this.#get(request)])
    } catch (error) {
      return this.#failed(request, error)
    }
  }

  #given(
    asked: ReadonlyArray<Asked>,
    watched: FileStates = new Map(),
    stale: ReadonlyArray<string> = []
  ): Given {
    const modules = new Map(asked.map(({ module }) => [module.url, module]))
    const indexes = new Map(Array.from(modules.keys(), (url, index) => [url, index]))
    const bodies = Array.from(modules.values(), ({ source }) => bytesOf(source.source))
    const head: FrameHead = {
      modules: Array.from(modules.values(), ({ url, source }, index) => [
        url,
        source.format,
        bodies[index]?.length ?? 0
      ]),
      requests: asked
        .slice(1)
        .map(({ request: { parent, specifier, require }, module }) => [
          indexes.get(parent) ?? parent,
          specifier,
          require ? 1 : 0,
          indexes.get(module.url) ?? 0
        ])
    }
    const body = new Uint8Array(bodies.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const bytes of bodies) {
      body.set(bytes, at)
      at += bytes.length
    }
    const files = new Map(asked.map(({ module }) => [module.file, module.source.stamp]))
    const folders = new Set(Array.from(files.keys(), (file) => path.dirname(file)))
    const others = [...folders].filter((folder) => !watched.has(folder))
    return {
      type: "given",
      frame: { head: JSON.stringify(head), body },
      files: [...files],
      searched: undefined,
      watched: [...watched, ...statesOf(others)],
      stale,
      roots: this.#policy.roots,
      refused: false
    }
  }

  #failed(request: ModuleRequest, error: unknown): Given {
    if (error instanceof CompilerTrap) throw error
    return refusal(refusedWith(request, error), this.#policy.roots)
  }
}

/** An answer without a module: the guest throws its error. */
export const refusal = (refused: ModuleRefused, roots: Roots = []): Given => ({
  type: "given",
  frame: { head: JSON.stringify(refused satisfies FrameHead), body: new Uint8Array() },
  files: [],
  searched: undefined,
  watched: [],
  stale: [],
  roots,
  refused: true
})

/** The reason for a refusal, with the importing module and the place of the import. */
const refusedWith = ({ specifier, parent }: ModuleRequest, error: unknown): ModuleRefused => {
  const { place: own, syntax = false } = error instanceof LoadProblem ? error : {}
  const importer = parent.startsWith("file:") ? fileURLToPath(parent) : undefined
  const place = own ?? (importer === undefined ? undefined : importIn(importer, specifier))
  return {
    error: messageOf(error),
    ...(syntax ? { syntax } : {}),
    ...(importer === undefined ? {} : { importer }),
    ...(place === undefined ? {} : { place })
  }
}

const importIn = (importer: string, specifier: string): ModulePlace | undefined => {
  try {
    return importPlace(importer, readPlain(importer, maxSearched).bytes.toString("utf8"), specifier)
  } catch {
    // The file may be too large, or gone meanwhile. The error still names the importer.
    return undefined
  }
}
