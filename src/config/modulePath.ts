/**
 * From the `modulePath` of a config file to the file it names.
 *
 * What starts with `.` or is absolute is a file of the workspace, judged on real paths so that a link cannot
 * lead out of it. Everything else is a package, found from the workspace as its config file's own `import`
 * would find it; a package may lie outside the workspace, as installed ones do in a monorepo.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { isBuiltin } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { conditionsWith, hostConditions } from "../modules/conditions.ts"
import { LoadProblem } from "../modules/LoadProblem.ts"
import { ModulePolicy } from "../modules/ModulePolicy.ts"
import { ModuleResolver } from "../modules/ModuleResolver.ts"
import { contains, hubFolder, isHubPrivate, realOf } from "../paths.ts"

/** Resolves as `import` does from the workspace's config file, within the package that is named. */
const resolvePackage = (root: string, specifier: string): string => {
  const resolver = new ModuleResolver(ModulePolicy.ofFolder(root), conditionsWith(hostConditions()))
  const parent = pathToFileURL(path.join(root, "agentlip.config.ts")).href
  return resolver.resolve({ specifier, parent, require: false }).file
}

/** Files to use for packages that a workspace has not installed, by the `modulePath` that names them. */
export type ShippedPackages = { readonly [modulePath: string]: string }

const inPackage = (root: string, given: string, shipped: ShippedPackages): Effect.Effect<string, string> => {
  if (isBuiltin(given))
    return Effect.fail("is a module of the runtime itself; give a path or a package instead")
  if (/^[a-z][a-z\d+.-]*:/i.test(given)) return Effect.fail("is a URL; give a path or a package instead")
  if (given.split(/[/\\]/).some((segment) => segment === ".." || segment === "."))
    return Effect.fail('leaves its package; name one of the package\'s exports, without ".."')
  return Effect.try({
    try: () => resolvePackage(root, given),
    catch: (error) => (error instanceof Error ? error : new Error(String(error)))
  }).pipe(
    Effect.catch((error) => {
      // Not installed: like a file that is missing, that is one plugin's LOAD_ERROR and stops no other.
      if (!(error instanceof LoadProblem && error.missing))
        return Effect.fail(`cannot be resolved: ${error.message}`)
      const own = Object.hasOwn(shipped, given) ? shipped[given] : undefined
      if (own !== undefined) return Effect.succeed(own)
      return fs.existsSync(path.join(root, given))
        ? Effect.fail(`is taken for a package; for the file in the workspace write "./${given}"`)
        : Effect.succeed(path.join(root, "node_modules", given))
    })
  )
}

const inWorkspace = (root: string, given: string): Effect.Effect<string, string> => {
  const file = realOf(path.resolve(root, given))
  return contains(root, file)
    ? Effect.succeed(file)
    : Effect.fail(
        `leaves the workspace (it is ${file}); move the module into ${root}, or install it as a package`
      )
}

/**
 * The real path of a configured module, which need not exist; or what is wrong with `given` as a predicate
 * (`leaves the workspace …`). `root` is the workspace's real path.
 */
export const resolveModule = (
  root: string,
  given: string,
  shipped: ShippedPackages = {}
): Effect.Effect<string, string> =>
  Effect.suspend(() =>
    given.startsWith(".") || path.isAbsolute(given)
      ? inWorkspace(root, given)
      : inPackage(root, given, shipped)
  ).pipe(
    Effect.filterOrFail(
      (file) => !isHubPrivate(file),
      () => `lies in ${hubFolder}/, which belongs to the hub alone; move the module out of it`
    )
  )
