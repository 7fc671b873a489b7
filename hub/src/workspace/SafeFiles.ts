/**
 * Opens the files and folders of a workspace safely, so that they cannot redirect the hub to other files: it follows
 * no links, reads only regular files, and overwrites nothing by accident.
 *
 * **Details**: all functions are synchronous. They throw `UnsafeFile` for what they refuse, and pass on other errors
 * of the file system. A refused file and the target of a link keep their content and mode.
 */
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

/** Something else is in the place of a file or folder of the hub. */
export class UnsafeFile extends Schema.TaggedError<UnsafeFile>("@agentlip/hub/UnsafeFile")("UnsafeFile", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.file} ${this.reason}`
  }
}

const refuse = (file: string, reason: string): never => {
  throw new UnsafeFile({ file, reason })
}

const hasCode = (cause: unknown, ...codes: ReadonlyArray<string>): boolean =>
  cause instanceof Error && "code" in cause && codes.includes(String(cause.code))

const isMissing = (cause: unknown): boolean => hasCode(cause, "ENOENT", "ENOTDIR")

// Windows lacks these flags; there, only `lstat` protects.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = fs.constants

const kindOf = (stats: fs.Stats): string => {
  if (stats.isSymbolicLink()) return "a link"
  if (stats.isDirectory()) return "a folder"
  if (stats.isFIFO()) return "a pipe"
  if (stats.isSocket()) return "a socket"
  return stats.isFile() ? "a file" : "a device"
}

const requireKind = (file: string, stats: fs.Stats, kind: "a file" | "a folder"): void => {
  const found = kindOf(stats)
  if (found === kind) return
  const remedy = found === "a link" ? `replace it by ${kind}, or remove it` : "move it away"
  refuse(file, `is ${found}, not ${kind}: ${remedy}`)
}

/** The stats of the path itself, links not followed; `undefined` if nothing is there. */
export const statOf = (file: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(file)
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** Opens an existing file or folder. Follows no link, and does not wait for the other end of a pipe. */
const withOpen = <A>(
  file: string,
  kind: "a file" | "a folder",
  use: (descriptor: number, stats: fs.Stats) => A
): A | undefined => {
  const before = statOf(file)
  if (before === undefined) return undefined
  requireKind(file, before, kind)
  let descriptor: number
  try {
    descriptor = fs.openSync(
      file,
      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (kind === "a folder" ? O_DIRECTORY : 0)
    )
  } catch (cause) {
    if (isMissing(cause)) return undefined
    // The link was created after the check above.
    if (hasCode(cause, "ELOOP", "EMLINK")) return refuse(file, `is a link, not ${kind}: remove it`)
    throw cause
  }
  try {
    const stats = fs.fstatSync(descriptor)
    requireKind(file, stats, kind)
    return use(descriptor, stats)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Most bytes that `read` accepts: far more than the hub's own small files have. */
const mostBytes = 64 * 1024

const readOpen = (file: string, descriptor: number, { size }: fs.Stats): string => {
  const buffer = Buffer.alloc(mostBytes + 1)
  let length = 0
  // Do not rely on the size: files of the kernel report 0.
  for (let more = 1; more > 0 && length <= mostBytes; length += more) {
    more = fs.readSync(descriptor, buffer, length, buffer.length - length, null)
  }
  if (size > mostBytes || length > mostBytes) {
    refuse(file, `is larger than ${mostBytes} bytes, so it is none of the hub's: move it away`)
  }
  return buffer.toString("utf8", 0, length)
}

/** The text of a small regular file; `undefined` if it is missing. */
export const read = (file: string): string | undefined =>
  withOpen(file, "a file", (descriptor, stats) => readOpen(file, descriptor, stats))

/** True if only this process's user can read and write the file. Files of Windows have no owner and no mode. */
const isPrivate = ({ uid, mode }: fs.Stats): boolean => {
  const user = process.geteuid?.()
  return user === undefined || (uid === user && (mode & 0o077) === 0)
}

/** Like `read`, but only of a file that other users can neither read nor write: `undefined` for any other. */
export const readPrivate = (file: string): string | undefined =>
  withOpen(file, "a file", (descriptor, stats) =>
    isPrivate(stats) ? readOpen(file, descriptor, stats) : undefined
  )

/** Throws if something other than a regular file is there. Returns false if nothing is there. */
export const requireFile = (file: string): boolean => {
  const stats = statOf(file)
  if (stats !== undefined) requireKind(file, stats, "a file")
  return stats !== undefined
}

/** Throws if something other than a folder is there. */
export const requireFolder = (folder: string): void => {
  const stats = statOf(folder)
  if (stats !== undefined) requireKind(folder, stats, "a folder")
}

const close = (kind: "a file" | "a folder", mode: number) => (file: string) =>
  withOpen(file, kind, (descriptor, stats) => {
    if (process.platform !== "win32" && (stats.mode & 0o777) !== mode) fs.fchmodSync(descriptor, mode)
    return true
  })

const closeFile = close("a file", 0o600)
const closeFolder = close("a folder", 0o700)

/** Creates a folder, or restricts an existing one to its owner (0700). The parent must exist. */
export const makeFolder = (folder: string): void => {
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
  }
  // Needed for a new folder too: the umask may have reduced its mode.
  closeFolder(folder)
}

/** Creates a new file. Fails with the code `EEXIST` if something is already there. */
export const create = (file: string, text: string, mode = 0o600): void =>
  fs.writeFileSync(file, text, { mode, flag: "wx" })

/** Creates an empty file, or restricts an existing one to its owner (0600). */
export const prepareFile = (file: string): void => {
  try {
    create(file, "")
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
  }
  closeFile(file)
}

/** Restricts a file to its owner (0600) if it exists. */
export const closeIfThere = (file: string): void => void closeFile(file)

/** Replaces or creates a file atomically: readers see the old text or the new one. */
export const replace = (file: string, text: string): void => {
  requireFile(file)
  const temporary = path.join(
    path.dirname(file),
    `${path.basename(file)}.${randomBytes(6).toString("hex")}.tmp`
  )
  create(temporary, text)
  try {
    fs.renameSync(temporary, file)
  } catch (cause) {
    fs.rmSync(temporary, { force: true })
    throw cause
  }
}

const extensions = ["-wal", "-shm", "-journal"]

/**
 * Prepares a SQLite database's file, because SQLite itself would follow links: creates it, or restricts it and the
 * files beside it to their owner. SQLite gives new files beside it the database's mode.
 */
export const prepareDatabase = (file: string): void => {
  for (const extension of extensions) requireFile(file + extension)
  prepareFile(file)
  for (const extension of extensions) closeIfThere(file + extension)
}

/**
 * Throws unless the database's file and the files beside it are regular files or missing. Returns true if the database
 * exists.
 */
export const requireDatabase = (file: string): boolean => {
  for (const extension of extensions) requireFile(file + extension)
  return requireFile(file)
}
