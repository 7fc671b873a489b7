/** The state of files and folders at one time, to find out later whether one has changed, appeared or gone. */
import * as fs from "node:fs"

/** By path. */
export type FileStates = ReadonlyMap<string, string>

/** The state of a file that has this status. Programs can set `mtime` as they like, but not `ctime`. */
export const stateIn = ({ ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): string =>
  `${ino}:${size}:${mtimeNs}:${ctimeNs}`

/** When a file that has this status was changed last, in milliseconds. */
export const changedAt = ({ mtimeMs, ctimeMs }: fs.BigIntStats): number =>
  Number(mtimeMs > ctimeMs ? mtimeMs : ctimeMs)

/** Milliseconds. File times are a few milliseconds coarser than the clock: two changes may leave the same state. */
export const coarseness = 100

export const stateOf = (file: string): string => {
  try {
    const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
    return stat === undefined ? "" : stateIn(stat)
  } catch {
    // Missing or unreadable is a state too, so that appearing and disappearing are changes.
    return ""
  }
}

export const statesOf = (files: Iterable<string>): FileStates =>
  new Map(Array.from(files, (file) => [file, stateOf(file)]))

/** Whether the states of files differ from their states `now`. */
export const differ = (states: FileStates, now: FileStates): boolean => {
  for (const [file, state] of states) if (now.get(file) !== state) return true
  return false
}

export const haveChanged = (states: FileStates): boolean => {
  for (const [file, state] of states) if (stateOf(file) !== state) return true
  return false
}
