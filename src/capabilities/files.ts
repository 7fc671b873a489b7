/**
 * Resolves grants of files to real paths, and refuses those that would cover what no plugin may reach. All disk access is
 * asynchronous, folder by folder, so that a large folder does not block the host's event loop.
 */
import { Effect, Result } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { contains, hubFolder, isHubPrivate, isPattern } from "../paths.ts"
import { allPrepared, type PrepareError, unprepared } from "../PrepareError.ts"

/** Virtual file systems: their files are views of other files, devices or processes. */
const virtualRoots = ["/proc", "/dev", "/sys"]

/** The most folders below a grant that are looked at. */
const maxFolders = 10_000

/** Folders read at once, and entries of one folder in a piece. */
const atOnce = 16
const entriesAtOnce = 512

export const isVirtual = (real: string): boolean =>
  real === path.parse(real).root || virtualRoots.some((root) => contains(root, real))

/** What a path leads to, or `undefined` if that does not exist. */
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

/** The folders directly in a folder. Its error says why it cannot be granted, as a predicate. */
const foldersIn = async (folder: string): Promise<Result.Result<ReadonlyArray<string>, PrepareError>> => {
  const folders: Array<string> = []
  try {
    for await (const entry of await fs.opendir(folder, { bufferSize: entriesAtOnce })) {
      const file = path.join(folder, entry.name)
      if (isHubPrivate(entry.name)) return Result.fail(unprepared(`would cover ${file}`))
      if (entry.isDirectory()) folders.push(file)
      const target = entry.isSymbolicLink() ? await linked(file) : undefined
      if (target === undefined) continue
      if (isHubPrivate(target.real) || isVirtual(target.real)) {
        return Result.fail(unprepared(`would cover ${target.real}: ${file} is a link to it`))
      }
      if (target.isFolder) folders.push(target.real)
    }
  } catch {
    // What the host cannot read, the plugin cannot read either.
  }
  return Result.succeed(folders)
}

/** Checks everything below a folder, links included. Its error says why it cannot be granted, as a predicate. */
const checkBelow = Effect.fnUntraced(function* (granted: string): Effect.fn.Return<void, PrepareError> {
  const known = new Set([granted])
  let next = [granted]
  while (next.length > 0) {
    const some = next.slice(0, atOnce)
    const found = yield* Effect.promise(() => Promise.all(some.map(foldersIn)))
    next = next.slice(atOnce)
    for (const folder of (yield* Effect.fromResult(allPrepared(found))).flat()) {
      if (known.has(folder)) continue
      known.add(folder)
      next.push(folder)
    }
    if (known.size > maxFolders) {
      return yield* unprepared(`has more than ${maxFolders} folders, too many to search for ${hubFolder}/`)
    }
  }
})

/** The real path of a granted file or folder. A folder ends with a separator. */
export const resolveFile = Effect.fnUntraced(function* (
  grant: "read" | "write",
  given: string,
  /** Base folder of a relative path. */
  base: string
): Effect.fn.Return<string, PrepareError> {
  const absolute = path.resolve(base, given)
  const quoted = `grants.${grant} "${given}"`
  const found = yield* Effect.promise(() => linked(absolute))
  if (found === undefined) {
    const hint = isPattern(given)
      ? "name a folder: grants are not patterns"
      : "create it first or correct the path"
    return yield* unprepared(`${quoted} does not exist (looked at ${absolute})`, hint)
  }
  const { real, isFolder } = found
  if (isPattern(real)) {
    const where = real === absolute ? "" : ` (it is ${real})`
    return yield* unprepared(
      `${quoted} has an asterisk in its path${where}; Node reads it as a pattern, which also matches the files beside it`,
      "rename the folder or file"
    )
  }
  if (isHubPrivate(real)) {
    return yield* unprepared(
      `${quoted} lies in ${hubFolder}/, which no plugin may ${grant}`,
      "grant another folder"
    )
  }
  if (isVirtual(real)) {
    return yield* unprepared(
      `${quoted} covers the system's virtual files`,
      "name the folder that the plugin needs"
    )
  }
  if (!isFolder) return real
  const example = path.join(given, "data")
  yield* Effect.mapError(checkBelow(real), ({ reason }) =>
    unprepared(`${quoted} ${reason}`, `grant a narrower path, for example "${example}"`)
  )
  return real + path.sep
})

/** The real path that a path leads to now, or `undefined` if there is nothing. */
const realPathOf = async (granted: string): Promise<string | undefined> => {
  const found = await linked(granted)
  return found?.isFolder === true ? found.real + path.sep : found?.real
}

/**
 * Checks that granted paths still lead to what was granted. A guest that boots would follow a link that replaced them
 * since, and a file that became a folder would grant everything below it.
 */
export const checkUnmoved = Effect.fnUntraced(function* (files: {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
}): Effect.fn.Return<void, PrepareError> {
  for (const grant of ["read", "write"] as const) {
    for (const granted of files[grant]) {
      const now = yield* Effect.promise(() => realPathOf(granted))
      if (now === granted) continue
      const what = now === undefined ? "is gone or cannot be read" : `leads to ${now}`
      return yield* unprepared(
        `grants.${grant} "${granted}" has changed since it was granted: it ${what} now`,
        "restore what was there, or restart the hub to check the new path"
      )
    }
  }
})
