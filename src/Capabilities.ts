/**
 * What an operator may grant to a plugin. Nothing is granted by default, and `.agentlip/` (the hub's
 * database and token) can never be: a grant that would cover it is refused.
 *
 * Gotchas: a grant names a folder or a file, and links inside it are followed; what an operator links into
 * a granted folder is granted too.
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
  process: [],
  wasm: []
}

/** Levels that exist in this version. */
export const availableLevels: ReadonlyArray<IsolationLevel> = ["thread"]

/** File systems whose files stand for other files, devices or processes: a grant below them means something else. */
const virtualRoots = ["/proc", "/dev", "/sys"]

/** Real, checked paths, ready to be given to an isolate. */
export interface ResolvedGrants {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}

/** A hub's folder below `folder` (bounded look: two levels), or the one the folder lies in. */
const coveredHubFolder = (folder: string): string | undefined => {
  const direct = path.join(folder, hubFolder)
  if (fs.existsSync(direct)) return direct
  try {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name === "node_modules") continue
      const nested = path.join(folder, entry.name, hubFolder)
      if (fs.existsSync(nested)) return nested
    }
  } catch {
    // Unreadable for the host means unreadable for the plugin: nothing to protect here.
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
  if (virtualRoots.some((root) => contains(root, real) || real === path.parse(real).root)) {
    return { problem: `${quoted} covers the system's virtual files; name the folder the plugin needs` }
  }
  const isFolder = fs.statSync(real).isDirectory()
  const covered = isFolder ? coveredHubFolder(real) : undefined
  if (covered !== undefined) {
    return {
      problem: `${quoted} would cover ${covered}; grant a narrower path, for example "${path.join(given, "data")}"`
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
