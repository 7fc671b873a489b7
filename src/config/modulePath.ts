/**
 * Finds the file that a `modulePath` in a config file names.
 *
 * A path that is absolute or starts with `.` is a file of the workspace. Real paths are compared, so that a link cannot
 * lead out of it. Everything else is a package, found as the config file's own `import` would find it. A package may lie
 * outside the workspace, as in a monorepo.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { isBuiltin } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { conditionsWith, hostConditions } from "../modules/conditions.ts"
import { LoadProblem, messageOf } from "../modules/LoadProblem.ts"
import { ModulePolicy } from "../modules/ModulePolicy.ts"
import { ModuleResolver } from "../modules/ModuleResolver.ts"
import { contains, hubFolder, isHubPrivate, realOf } from "../paths.ts"
import type { PluginSpec } from "../Plugin.ts"
import { type PrepareError, unprepared } from "../PrepareError.ts"

/** Resolves as `import` does from the workspace's config file, within the package that is named. */
const resolvePackage = (root: string, specifier: string): string => {
  const resolver = new ModuleResolver(ModulePolicy.ofFolder(root), conditionsWith(hostConditions()))
  const parent = pathToFileURL(path.join(root, "agentlip.config.ts")).href
  return resolver.resolve({ specifier, parent, require: false }).file
}

/** Files to use for packages that a workspace has not installed, by the `modulePath` that names them. */
export type ShippedPackages = { readonly [modulePath: string]: string }

/** What a `modulePath` names. The file need not exist; `unresolved` says why its package cannot be used. */
export interface ResolvedModule extends Pick<PluginSpec, "unresolved"> {
  readonly file: string
}

const refused = (reason: string, remedy?: string): Effect.Effect<never, PrepareError> =>
  Effect.fail(unprepared(reason, remedy))

const inPackage = (
  root: string,
  given: string,
  shipped: ShippedPackages
): Effect.Effect<ResolvedModule, PrepareError> => {
  if (isBuiltin(given)) return refused("is a module of the runtime itself", "use a path or a package instead")
  if (/^[a-z][a-z\d+.-]*:/i.test(given)) return refused("is a URL", "use a path or a package instead")
  if (given.split(/[/\\]/).some((segment) => segment === ".." || segment === "."))
    return refused("leaves its package", 'use one of the package\'s exports, without ".."')
  const asInstalled = path.join(root, "node_modules", given)
  return Effect.try({
    try: () => ({ file: resolvePackage(root, given) }),
    catch: (error) => (error instanceof LoadProblem ? error : new LoadProblem(messageOf(error)))
  }).pipe(
    Effect.catch((error): Effect.Effect<ResolvedModule, PrepareError> => {
      // A package that is missing or broken is the LOAD_ERROR of one plugin and stops no other.
      if (error.ofPackage) {
        const place = error.place === undefined ? {} : { place: error.place }
        return Effect.succeed({ file: asInstalled, unresolved: { reason: error.message, ...place } })
      }
      if (!error.missing) return refused(`cannot be resolved: ${error.message}`)
      const own = Object.hasOwn(shipped, given) ? shipped[given] : undefined
      if (own !== undefined) return Effect.succeed({ file: own })
      return fs.existsSync(path.join(root, given))
        ? refused("is read as the name of a package", `for the file in the workspace write "./${given}"`)
        : Effect.succeed({ file: asInstalled })
    })
  )
}

const inWorkspace = (root: string, given: string): Effect.Effect<ResolvedModule, PrepareError> => {
  const file = realOf(path.resolve(root, given))
  return contains(root, file)
    ? Effect.succeed({ file })
    : refused(
        `leaves the workspace (it is ${file})`,
        `move the module into ${root}, or install it as a package`
      )
}

/**
 * Finds a configured module. Its error says what is wrong with `given`, as a predicate (`leaves the workspace …`).
 * `root` is the workspace's real path.
 */
export const resolveModule = (
  root: string,
  given: string,
  shipped: ShippedPackages = {}
): Effect.Effect<ResolvedModule, PrepareError> =>
  Effect.suspend(() =>
    given.startsWith(".") || path.isAbsolute(given)
      ? inWorkspace(root, given)
      : inPackage(root, given, shipped)
  ).pipe(
    Effect.filterOrFail(
      ({ file }) => !isHubPrivate(file),
      () => unprepared(`lies in ${hubFolder}/, which only the hub may use`, "move the module out of it")
    )
  )
