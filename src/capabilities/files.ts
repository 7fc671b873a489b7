/**
 * Resolves grants of files: to real paths, refusing those that would cover what no plugin may reach. All disk
 * access is asynchronous, folder by folder: a large folder must not hold up the host's event loop.
 */
import { Result } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { contains, hubFolder, isHubPrivate, isPattern } from "../paths.ts"

/** File systems whose files stand for other files, devices or processes: a grant below them means something else. */
const virtualRoots = ["/proc", "/dev", "/sys"]

/** The most folders below a grant that are looked at. */
const maxFolders = 10_000

/** Folders read at once, and entries of one folder in a piece. */
const atOnce = 16
const entriesAtOnce = 512

const isVirtual = (real: string): boolean =>
  real === path.parse(real).root || virtualRoots.some((root) => contains(root, real))

/** What a link stands for, or `undefined` if that does not exist. */
const linked = async (
  link: string
): Promise<{ readonly real: string; readonly isFolder: boolean } | undefined> => {
  try {
    const real = await fs.realpath(link)
    return { real, isFolder: (await fs.stat(real)).isDirectory() }
  } catch {
    return undefined
  }
}

/** The folders directly in a folder. Fails with why it must not be granted. */
const lookInto = async (folder: string): Promise<Result.Result<ReadonlyArray<string>, string>> => {
  const folders: Array<string> = []
  try {
    for await (const entry of await fs.opendir(folder, { bufferSize: entriesAtOnce })) {
      const file = path.join(folder, entry.name)
      if (isHubPrivate(entry.name)) return Result.fail(`would cover ${file}`)
      if (entry.isDirectory()) folders.push(file)
      const target = entry.isSymbolicLink() ? await linked(file) : undefined
      if (target === undefined) continue
      if (isHubPrivate(target.real) || isVirtual(target.real)) {
        return Result.fail(`would cover ${target.real}, which ${file} is a link to`)
      }
      if (target.isFolder) folders.push(target.real)
    }
  } catch {
    // Unreadable for the host means unreadable for the plugin: nothing to protect here.
  }
  return Result.succeed(folders)
}

/** What speaks against granting all that is below `granted`, links included, or `undefined`. */
const folderProblem = async (granted: string, signal: AbortSignal): Promise<string | undefined> => {
  const known = new Set([granted])
  let next = [granted]
  while (next.length > 0) {
    signal.throwIfAborted()
    const looked = await Promise.all(next.slice(0, atOnce).map(lookInto))
    next = next.slice(atOnce)
    for (const found of looked) {
      if (Result.isFailure(found)) return found.failure
      for (const folder of found.success) {
        if (known.has(folder)) continue
        known.add(folder)
        next.push(folder)
      }
    }
    if (known.size > maxFolders) {
      return `has more than ${maxFolders} folders, too many to search for ${hubFolder}/`
    }
  }
  return undefined
}

/** The real path of a granted file or folder; a folder ends with a separator. Fails with what is wrong with it. */
export const resolveFile = async (
  grant: "read" | "write",
  given: string,
  /** Base folder of a relative path. */
  base: string,
  signal: AbortSignal
): Promise<Result.Result<string, string>> => {
  const absolute = path.resolve(base, given)
  const quoted = `grants.${grant} "${given}"`
  let real: string
  let isFolder: boolean
  try {
    real = await fs.realpath(absolute)
    isFolder = (await fs.stat(real)).isDirectory()
  } catch {
    const hint = isPattern(given)
      ? "name a folder: grants are not patterns"
      : "create it first or correct the path"
    return Result.fail(`${quoted} does not exist (looked at ${absolute}); ${hint}`)
  }
  if (isPattern(real)) {
    const where = real === absolute ? "" : ` (it is ${real})`
    return Result.fail(
      `${quoted} has an asterisk in its path${where}, which Node takes for a pattern that also matches what lies beside it; rename the folder or file`
    )
  }
  if (isHubPrivate(real)) return Result.fail(`${quoted} lies in ${hubFolder}/, which no plugin may ${grant}`)
  if (isVirtual(real)) {
    return Result.fail(`${quoted} covers the system's virtual files; name the folder the plugin needs`)
  }
  const problem = isFolder ? await folderProblem(real, signal) : undefined
  if (problem !== undefined) {
    return Result.fail(
      `${quoted} ${problem}; grant a narrower path, for example "${path.join(given, "data")}"`
    )
  }
  return Result.succeed(isFolder ? real + path.sep : real)
}

/** What a path stands for, or `undefined` if there is nothing. */
const standing = async (granted: string): Promise<string | undefined> => {
  try {
    const real = await fs.realpath(granted)
    return (await fs.stat(real)).isDirectory() ? real + path.sep : real
  } catch {
    return undefined
  }
}

/**
 * Why granted paths no longer stand for what was looked at when they were granted, or `undefined`. A guest that boots
 * would follow a link that was put in their place since, and a file that became a folder would grant all below it.
 */
export const movedProblem = async (files: {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}): Promise<string | undefined> => {
  for (const grant of ["read", "write"] as const) {
    for (const granted of files[grant]) {
      const now = await standing(granted)
      if (now === granted) continue
      const what = now === undefined ? "is gone or cannot be read" : `stands for ${now}`
      return `grants.${grant} "${granted}" has changed since it was granted: it ${what} now; put back what was there, or start again to have the new path checked`
    }
  }
  return undefined
}
