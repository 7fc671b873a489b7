/** Files and folders as they were at some time, to tell whether one has changed, come or gone since. */
import * as fs from "node:fs"

/** By path. */
export type FileStates = ReadonlyMap<string, string>

export const stateOf = (file: string): string => {
  try {
    const { ino, size, mtimeNs } = fs.statSync(file, { bigint: true })
    return `${ino}:${size}:${mtimeNs}`
  } catch {
    // A missing or unreadable file counts as one more state, so that its coming and going are changes.
    return ""
  }
}

export const statesOf = (files: Iterable<string>): FileStates =>
  new Map(Array.from(files, (file) => [file, stateOf(file)]))

export const haveChanged = (states: FileStates): boolean => {
  for (const [file, state] of states) if (stateOf(file) !== state) return true
  return false
}
