/**
 * Resolves grants of files to real paths, and refuses those that would cover what no plugin may reach. All disk access is
 * asynchronous, folder by folder, so that a large folder does not block the host's event loop.
 */
import { Effect, Result } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { contains, hubFolder, isHubPrivate, isPattern } from "../paths.ts"
import { PrepareError, unprepared } from "../PrepareError.ts"

/** File systems whose files stand for other files, devices or processes: a grant below them means something else. */
const virtualRoots = ["/proc", "/dev", "/sys"]

/** The most folders below a grant that are looked at. */
const maxFolders = 10_000

/** Folders read at once, and entries of one folder in a piece. */
const atOnce = 16
const entriesAtOnce = 512

const isVirtual = (real: string): boolean =>
  real === path.parse(real).root || virtualRoots.some((root) => contains(root, real))

/** What a link leads to, or `undefined` if that does not exist. */
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

/** Checks everything below a folder, links included. Fails with why it must not be granted. */
const lookBelow = async (granted: string, signal: AbortSignal): Promise<Result.Result<void, string>> => {
  const known = new Set([granted])
  let next = [granted]
  while (next.length > 0) {
    signal.throwIfAborted()
    const looked = await Promise.all(next.slice(0, atOnce).map(lookInto))
    next = next.slice(atOnce)
    for (const found of looked) {
      if (Result.isFailure(found)) return Result.fail(found.failure)
      for (const folder of found.success) {
        if (known.has(folder)) continue
        known.add(folder)
        next.push(folder)
      }
    }
    if (known.size > maxFolders) {
      return Result.fail(`has more than ${maxFolders} folders, too many to search for ${hubFolder}/`)
    }
  }
  return Result.void
}

/** The real path of a granted file or folder. A folder ends with a separator. */
export const resolveFile = (
  grant: "read" | "write",
  given: string,
  /** Base folder of a relative path. */
  base: string
): Effect.Effect<string, PrepareError> =>
  Effect.flatMap(
    Effect.promise((signal) => lookAt(grant, given, base, signal)),
    (found) => Effect.mapError(Effect.fromResult(found), (reason) => new PrepareError({ reason }))
  )

const lookAt = async (
  grant: "read" | "write",
  given: string,
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
  const below = isFolder ? await lookBelow(real, signal) : Result.void
  if (Result.isFailure(below)) {
    return Result.fail(
      `${quoted} ${below.failure}; grant a narrower path, for example "${path.join(given, "data")}"`
    )
  }
  return Result.succeed(isFolder ? real + path.sep : real)
}

/** The real path that a path leads to, or `undefined` if there is nothing. */
const standing = async (granted: string): Promise<string | undefined> => {
  try {
    const real = await fs.realpath(granted)
    return (await fs.stat(real)).isDirectory() ? real + path.sep : real
  } catch {
    return undefined
  }
}

/**
 * Checks that granted paths still lead to what was granted. A guest that boots would follow a link that replaced them
 * since, and a file that became a folder would grant everything below it.
 */
export const checkUnmoved = (files: {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}): Effect.Effect<void, PrepareError> =>
  Effect.gen(function* () {
    for (const grant of ["read", "write"] as const) {
      for (const granted of files[grant]) {
        const now = yield* Effect.promise(() => standing(granted))
        if (now === granted) continue
        const what = now === undefined ? "is gone or cannot be read" : `leads to ${now}`
        return yield* unprepared(
          `grants.${grant} "${granted}" has changed since it was granted: it ${what} now; restore what was there, or restart the hub to check the new path`
        )
      }
    }
  })
