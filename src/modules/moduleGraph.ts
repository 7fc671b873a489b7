/**
 * A plugin's module graph: all modules that its entry can reach by literal names, with one hash over them. Sources
 * and resolutions are kept and served without reading the disk again, so the plugin gets exactly what was hashed.
 */
import { createHash } from "node:crypto"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ModuleRequest } from "../wire/modules.ts"
import { type Import, importsOf, lexerReady } from "./moduleImports.ts"
import { LoadProblem } from "./LoadProblem.ts"
import { isLibrary, type ModulePolicy } from "./ModulePolicy.ts"
import type { ModuleResolver, ResolvedFile } from "./ModuleResolver.ts"
import type { ModuleSource, ModuleSources } from "./ModuleSource.ts"
import { CompilerTrap } from "./typescript.ts"

/** A module that may be loaded. */
export interface Module {
  /** The real path. */
  readonly file: string
  readonly url: string
  readonly source: ModuleSource
}

/** Serves the requests of a plugin's modules. `get` fails with a `LoadProblem`. */
export interface Modules {
  readonly get: (request: ModuleRequest) => Promise<Module>
}

export interface ModuleGraph extends Modules {
  /** `sha256-…`, the same on every machine that has the same modules. */
  readonly integrity: string
  /** The real paths of all modules. */
  readonly files: ReadonlySet<string>
  /**
   * Files that cannot be read as modules, and folders in which modules are missing. A change there can change the
   * graph.
   */
  readonly failed: ReadonlySet<string>
}

/** Limits for one plugin. Reading more would take seconds. */
const maxModules = 5_000
const maxBytes = 128 * 1024 * 1024

const keyOf = (file: string, { specifier, require }: Import): string =>
  JSON.stringify([file, specifier, require])

/** All modules that the entry can reach, by file. */
interface Reached {
  readonly modules: ReadonlyMap<string, ModuleSource>
  /** The module that each import leads to. */
  readonly edges: ReadonlyMap<string, Module>
  /** Files that cannot be read as modules, and folders in which modules are missing. */
  readonly failed: ReadonlySet<string>
}

/** The folders that a missing module could be in. */
const foldersOf = ({ specifier }: Import, parent: string): ReadonlyArray<string> => {
  const folder = path.dirname(parent)
  if (specifier.startsWith(".")) return [path.dirname(path.resolve(folder, specifier))]
  const above = [folder]
  for (let at = folder; at !== path.dirname(at); at = path.dirname(at)) above.push(path.dirname(at))
  return above.map((at) => path.join(at, "node_modules"))
}

/** The services that find, check and read modules. */
export interface ModuleTools {
  readonly policy: ModulePolicy
  readonly resolver: ModuleResolver
  readonly sources: ModuleSources
}

const reach = async ({ policy, resolver, sources }: ModuleTools): Promise<Reached> => {
  await lexerReady
  const { manifests } = policy
  const modules = new Map<string, ModuleSource>([[policy.entry, await sources.get(policy.entry, manifests)]])
  const edges = new Map<string, Module>()
  const failed = new Set<string>()
  let bytes = 0
  // Iteration over a map includes entries that are added meanwhile.
  for (const [parent, source] of modules) {
    bytes += source.size
    if (modules.size > maxModules || bytes > maxBytes) {
      throw new LoadProblem(
        `The plugin has more than ${maxModules} modules or ${maxBytes} bytes of them, too many to be hashed; bundle what it needs.`
      )
    }
    for (const asked of importsOf(source).imports) {
      let found: ResolvedFile | undefined
      try {
        found = resolver.resolve({ ...asked, parent: pathToFileURL(parent).href })
        const module = {
          ...found,
          source: modules.get(found.file) ?? (await sources.get(found.file, manifests))
        }
        edges.set(keyOf(parent, asked), module)
        if (!isLibrary(found.file)) modules.set(found.file, module.source)
      } catch (error) {
        if (error instanceof CompilerTrap) throw error
        // Missing, like an optional dependency, or refused: the plugin gets the same error when it requests the
        // module.
        for (const file of found === undefined ? foldersOf(asked, parent) : [found.file]) failed.add(file)
      }
    }
  }
  return { modules, edges, failed }
}

/**
 * Hashes the entry's name and one line per module. A line has the module's name, format, digest and imports, each
 * with its target (none if the target is missing). So neither a file nor the meaning of a name can change
 * unnoticed.
 */
const hash = (policy: ModulePolicy, { modules, edges }: Reached): string => {
  const names = new Map([...modules.keys()].map((file) => [file, policy.nameOf(file)]))
  const lines = [...modules].map(([file, source]) => {
    const imports = importsOf(source).imports.map((asked) => {
      const found = edges.get(keyOf(file, asked))
      const name = found === undefined ? undefined : names.get(found.file)
      // For the library's own entry, only its presence counts.
      const target = name === undefined ? [found !== undefined] : [name, found?.source.digest]
      return JSON.stringify([asked.specifier, asked.require, ...target])
    })
    return JSON.stringify([names.get(file), source.format, source.digest, [...new Set(imports)].sort()])
  })
  return `sha256-${createHash("sha256")
    // Copies of a package give one line, so the hash does not depend on where the package manager puts them.
    .update([names.get(policy.entry), ...[...new Set(lines)].sort()].join("\n"))
    .digest("base64")}`
}

export const moduleGraph = async (tools: ModuleTools): Promise<ModuleGraph> => {
  const { policy, resolver, sources } = tools
  const reached = await reach(tools)
  const { modules, edges } = reached
  const refuse = ({ specifier, parent }: ModuleRequest): never => {
    const asking = parent.startsWith("file:") ? modules.get(fileURLToPath(parent)) : undefined
    const problem = asking === undefined ? undefined : importsOf(asking).problem
    throw new LoadProblem(
      `Cannot load "${specifier}": it is not among the modules that the plugin's \`integrity\` covers. Those are found by literal names in \`import\` and \`require\`${problem === undefined ? "" : `; the names in the module that asks could not be read (${problem})`}.`
    )
  }
  return {
    integrity: hash(policy, reached),
    files: new Set(modules.keys()),
    failed: reached.failed,
    get: async (request) => {
      const { specifier, parent, require } = request
      const known = parent.startsWith("file:")
        ? edges.get(keyOf(fileURLToPath(parent), { specifier, require }))
        : undefined
      if (known !== undefined) return known
      const found = resolver.resolve(request)
      const hashed = modules.get(found.file)
      if (hashed !== undefined) return { ...found, source: hashed }
      // Read first: if the module fails to compile, that error is more useful than the refusal.
      const source = await sources.get(found.file, policy.manifests)
      return isLibrary(found.file) ? { ...found, source } : refuse(request)
    }
  }
}

/**
 * The modules that a plugin may load: with `integrity`, exactly those with that hash; otherwise all that its policy
 * admits.
 */
export const openModules = async (tools: ModuleTools, integrity: string | undefined): Promise<Modules> => {
  const { policy, resolver, sources } = tools
  if (integrity === undefined) {
    return {
      get: async (request) => {
        const found = resolver.resolve(request)
        return { ...found, source: await sources.get(found.file, policy.manifests) }
      }
    }
  }
  const graph = await moduleGraph(tools)
  if (graph.integrity === integrity) return graph
  throw new LoadProblem(
    `The plugin's modules are not those its integrity was made from: expected ${integrity}, found ${graph.integrity}. If you know of the change and trust it, put what \`agentlip plugin integrity ${policy.entry}\` prints into the config.`
  )
}
