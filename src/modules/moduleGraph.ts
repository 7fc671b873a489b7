/**
 * A plugin's module graph: every module that its entry can reach by literal names, and one hash over all of
 * them. What was hashed is what is served: sources and resolutions are kept, the disk is not asked again.
 */
import { createHash } from "node:crypto"
import { isBuiltin } from "node:module"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ModuleRequest } from "../wire/modules.ts"
import { lexerReady } from "./eagerImports.ts"
import { type Import, importsOf } from "./moduleImports.ts"
import { LoadProblem } from "./LoadProblem.ts"
import { isLibrary, type ModulePolicy } from "./ModulePolicy.ts"
import type { ModuleResolver, ResolvedFile } from "./ModuleResolver.ts"
import type { ModuleSource, ModuleSources } from "./ModuleSource.ts"
import { CompilerTrap } from "./typescript.ts"

/** A module that may be loaded. */
export interface Module {
  /** Its real path. */
  readonly file: string
  readonly url: string
  readonly source: ModuleSource
}

/** Answers what a plugin's modules ask for; throws a `LoadProblem`. */
export interface Modules {
  readonly get: (request: ModuleRequest) => Promise<Module>
}

export interface ModuleGraph extends Modules {
  /** `sha256-…`, the same on every machine that has the same modules. */
  readonly integrity: string
  /** Real paths of all modules. */
  readonly files: ReadonlySet<string>
  /** Files that cannot be read as modules, and folders in which modules are missing: with them the graph would be another. */
  readonly failed: ReadonlySet<string>
}

/** More than that is no plugin; it would take seconds to read. */
const maxModules = 5_000
const maxBytes = 128 * 1024 * 1024

const keyOf = (file: string, { specifier, require }: Import): string =>
  JSON.stringify([file, specifier, require])

/** What does not come from files: the runtime's own, and code that is in the graph already as a text. */
const isElsewhere = (specifier: string): boolean => isBuiltin(specifier) || specifier.startsWith("data:")

/** All that can be reached from the entry, by file. */
interface Reached {
  readonly modules: ReadonlyMap<string, ModuleSource>
  /** The module that each import leads to. */
  readonly edges: ReadonlyMap<string, Module>
  /** Files that cannot be read as modules, and folders in which modules are missing. */
  readonly failed: ReadonlySet<string>
}

/** The folders in which a missing module would be. */
const foldersOf = ({ specifier }: Import, parent: string): ReadonlyArray<string> => {
  const folder = path.dirname(parent)
  if (specifier.startsWith(".")) return [path.dirname(path.resolve(folder, specifier))]
  const above = [folder]
  for (let at = folder; at !== path.dirname(at); at = path.dirname(at)) above.push(path.dirname(at))
  return above.map((at) => path.join(at, "node_modules"))
}

/** What modules are found, judged and read with. */
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
  // A map goes on to what is added to it meanwhile.
  for (const [parent, source] of modules) {
    bytes += source.size
    if (modules.size > maxModules || bytes > maxBytes) {
      throw new LoadProblem(
        `The plugin has more than ${maxModules} modules or ${maxBytes} bytes of them, too many to be hashed; bundle what it needs.`
      )
    }
    for (const asked of importsOf(source).imports) {
      if (isElsewhere(asked.specifier)) continue
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
        // Absent, as optional dependencies are, or refused: so it will be when the plugin asks for it.
        for (const file of found === undefined ? foldersOf(asked, parent) : [found.file]) failed.add(file)
      }
    }
  }
  return { modules, edges, failed }
}

/**
 * The entry's name, then one line for each module: its name, what it is, its hash, and what each of its imports leads to (nothing,
 * where that is absent): so that neither a file nor what a name stands for can change.
 */
const hash = (policy: ModulePolicy, { modules, edges }: Reached): string => {
  const names = new Map([...modules.keys()].map((file) => [file, policy.nameOf(file)]))
  const lines = [...modules].map(([file, source]) => {
    const imports = importsOf(source).imports.flatMap((asked) => {
      if (isElsewhere(asked.specifier)) return []
      const found = edges.get(keyOf(file, asked))
      const name = found === undefined ? undefined : names.get(found.file)
      // Of the library's own entry it is enough that it is there.
      const target = name === undefined ? [found !== undefined] : [name, found?.source.digest]
      return [JSON.stringify([asked.specifier, asked.require, ...target])]
    })
    return JSON.stringify([names.get(file), source.format, source.digest, [...new Set(imports)].sort()])
  })
  return `sha256-${createHash("sha256")
    // Copies of a package are one line: how packages are laid out is the package manager's business.
    .update([names.get(policy.entry), ...[...new Set(lines)].sort()].join("\n"))
    .digest("base64")}`
}

/** Reads and hashes a plugin's modules. */
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
      // Of a module that does not even compile, that is what there is to say.
      const source = await sources.get(found.file, policy.manifests)
      return isLibrary(found.file) ? { ...found, source } : refuse(request)
    }
  }
}

/** What a plugin may load: with `integrity`, exactly the modules that it was made from; or else what its policy admits. */
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
