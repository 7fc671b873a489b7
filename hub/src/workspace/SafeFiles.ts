/**
 * Files and folders of a workspace, opened so that nobody can turn the hub against other files: no link is followed,
 * nothing but regular files is read, and nothing that exists is overwritten.
 *
 * **Details**: all functions are synchronous, throw `UnsafeFile` for what they refuse, and pass on other errors of the
 * file system. A refused file, and the target of a link, keep their content and mode.
 */
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

/** Something stands where the hub expects a file or folder of its own. */
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

// Windows has none of these: `lstat` alone has to do there.
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

/** What stands at a path itself; `undefined`: nothing. */
export const statOf = (file: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(file)
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** Opens what is there already: never through a link, and without waiting for the other end of a pipe. */
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
    // A link that came after the look above.
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

/** Bytes of a file that `read` takes: the hub's own small files are far below it. */
const mostBytes = 64 * 1024

/** The text of a small regular file; `undefined` if there is none. */
export const read = (file: string): string | undefined =>
  withOpen(file, "a file", (descriptor, { size }) => {
    const buffer = Buffer.alloc(mostBytes + 1)
    let length = 0
    // The size is not to be trusted: files of the kernel have none.
    for (let more = 1; more > 0 && length <= mostBytes; length += more) {
      more = fs.readSync(descriptor, buffer, length, buffer.length - length, null)
    }
    if (size > mostBytes || length > mostBytes) {
      refuse(file, `is larger than ${mostBytes} bytes, so it is none of the hub's: move it away`)
    }
    return buffer.toString("utf8", 0, length)
  })

/** Refuses what is not a regular file, if anything is there. Says whether something is. */
export const requireFile = (file: string): boolean => {
  const stats = statOf(file)
  if (stats !== undefined) requireKind(file, stats, "a file")
  return stats !== undefined
}

/** Refuses what is not a folder, if anything is there. */
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

/** Makes a folder, or closes the one that is there to others (0700); its parent exists. */
export const makeFolder = (folder: string): void => {
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
  }
  // Also after `mkdir`: the umask cuts its mode.
  closeFolder(folder)
}

/** Writes a file that nothing stands in the place of; an error with the code `EEXIST` if something does. */
export const create = (file: string, text: string, mode = 0o600): void =>
  fs.writeFileSync(file, text, { mode, flag: "wx" })

/** Makes an empty file, or closes the one that is there to others (0600). */
export const prepareFile = (file: string): void => {
  try {
    create(file, "")
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
  }
  closeFile(file)
}

/** Closes a file to others (0600), if it is there. */
export const closeIfThere = (file: string): void => void closeFile(file)

/** Puts a file in the place of another, or of none, as a whole: readers see the old text or the new. */
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
 * Makes a SQLite database's file ready to be opened by its name, which SQLite does through links: makes it, or closes
 * it and the files beside it to others. SQLite gives the files beside it the mode of the database.
 */
export const prepareDatabase = (file: string): void => {
  for (const extension of extensions) requireFile(file + extension)
  prepareFile(file)
  for (const extension of extensions) closeIfThere(file + extension)
}

/** Refuses a database's file, and the files beside it, unless each is a regular file or missing. */
export const requireDatabase = (file: string): boolean => {
  for (const extension of extensions) requireFile(file + extension)
  return requireFile(file)
}
