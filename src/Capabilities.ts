/**
 * What an operator may grant to a plugin. Nothing is granted by default, and `.agentlip/` (the hub's
 * database and token) can never be: a grant that would cover it is refused.
 *
 * Gotchas: a grant names a folder or a file, and links inside it are followed; what an operator links into
 * a granted folder is granted too. What is below it is looked at when the grant is made, not again later.
 */
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { contains, hubFolder, isHubPrivate } from "./paths.ts"

/** Folders and files a plugin may read or write, hosts it may reach, environment variables it may see. */
export const Grants = Schema.Struct({
  read: Schema.optionalKey(Schema.Array(Schema.String)),
  write: Schema.optionalKey(Schema.Array(Schema.String)),
  net: Schema.optionalKey(Schema.Array(Schema.String)),
  env: Schema.optionalKey(Schema.Array(Schema.String))
})
export type Grants = typeof Grants.Type

/** Isolation levels; see docs/security.md for what each holds against. */
export const IsolationLevel = Schema.Literals(["thread", "process", "wasm"])
export type IsolationLevel = typeof IsolationLevel.Type

/** The capabilities each level can enforce today. What a level cannot enforce is refused, never dropped. */
export const enforcedBy: Record<IsolationLevel, ReadonlyArray<keyof Grants>> = {
  thread: ["read", "write"],
  process: ["read", "write"],
  wasm: []
}

/** Levels that exist in this version. */
export const availableLevels: ReadonlyArray<IsolationLevel> = ["thread", "process"]

/** File systems whose files stand for other files, devices or processes: a grant below them means something else. */
const virtualRoots = ["/proc", "/dev", "/sys"]

/** Real, checked paths, ready to be given to an isolate. */
export interface ResolvedGrants {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}

/** The most folders below a grant that are looked at. */
const maxFolders = 10_000

const readFolder = (folder: string): ReadonlyArray<fs.Dirent> => {
  try {
    return fs.readdirSync(folder, { withFileTypes: true })
  } catch {
    // Unreadable for the host means unreadable for the plugin: nothing to protect here.
    return []
  }
}

/** What a link stands for, or `undefined` if that does not exist. */
const linked = (link: string): { readonly real: string; readonly isFolder: boolean } | undefined => {
  try {
    const real = fs.realpathSync(link)
    return { real, isFolder: fs.statSync(real).isDirectory() }
  } catch {
    return undefined
  }
}

const isVirtual = (real: string): boolean =>
  real === path.parse(real).root || virtualRoots.some((root) => contains(root, real))

/** What speaks against granting all that is below `granted`, links included, or `undefined`. */
const folderProblem = (granted: string): string | undefined => {
  // A set goes on to what is added to it meanwhile.
  const folders = new Set([granted])
  for (const folder of folders) {
    if (folders.size > maxFolders)
      return `has more than ${maxFolders} folders, too many to search for ${hubFolder}/`
    for (const entry of readFolder(folder)) {
      const file = path.join(folder, entry.name)
      if (isHubPrivate(entry.name)) return `would cover ${file}`
      if (entry.isDirectory()) folders.add(file)
      const target = entry.isSymbolicLink() ? linked(file) : undefined
      if (target === undefined) continue
      if (isHubPrivate(target.real) || isVirtual(target.real)) {
        return `would cover ${target.real}, which ${file} is a link to`
      }
      if (target.isFolder) folders.add(target.real)
    }
  }
  return undefined
}

const resolveOne = (
  grant: "read" | "write",
  given: string,
  base: string
): { readonly path: string } | { readonly problem: string } => {
  const absolute = path.resolve(base, given)
  const quoted = `grants.${grant} "${given}"`
  let real: string
  try {
    real = fs.realpathSync(absolute)
  } catch {
    return {
      problem: `${quoted} does not exist (looked at ${absolute}); create it first or correct the path`
    }
  }
  if (isHubPrivate(real)) return { problem: `${quoted} lies in ${hubFolder}/, which no plugin may ${grant}` }
  if (isVirtual(real)) {
    return { problem: `${quoted} covers the system's virtual files; name the folder the plugin needs` }
  }
  const isFolder = fs.statSync(real).isDirectory()
  const problem = isFolder ? folderProblem(real) : undefined
  if (problem !== undefined) {
    return {
      problem: `${quoted} ${problem}; grant a narrower path, for example "${path.join(given, "data")}"`
    }
  }
  return { path: isFolder ? real + path.sep : real }
}

/**
 * Checks a spec's grants against what its isolation level enforces and resolves its paths.
 * Fails with one text that lists every problem and its remedy.
 */
export const resolveGrants = (
  level: IsolationLevel,
  grants: Grants,
  /** Relative paths are taken from here. */
  base: string
): Effect.Effect<ResolvedGrants, string> =>
  Effect.suspend(() => {
    const problems: Array<string> = []
    if (!availableLevels.includes(level)) {
      problems.push(
        `isolation "${level}" is not available in this version; available: ${availableLevels.map((name) => `"${name}"`).join(", ")}`
      )
    }
    for (const grant of ["read", "write", "net", "env"] as const) {
      const asked = grants[grant]
      if (asked !== undefined && asked.length > 0 && !enforcedBy[level].includes(grant)) {
        problems.push(`grants.${grant} cannot be enforced on isolation "${level}" in this version; remove it`)
      }
    }
    const resolved = { read: new Array<string>(), write: new Array<string>() }
    for (const grant of ["read", "write"] as const) {
      for (const given of grants[grant] ?? []) {
        const result = resolveOne(grant, given, base)
        if ("problem" in result) problems.push(result.problem)
        else resolved[grant].push(result.path)
      }
    }
    return problems.length === 0 ? Effect.succeed(resolved) : Effect.fail(problems.join("; "))
  })
