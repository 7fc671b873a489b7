/** Tells whether a path still leads to the file that it led to before. */
import * as fs from "node:fs"

/** What a file system says of a file. It can be sent to a thread. */
export interface Identity {
  /** Device and number. Empty: the file system does not number files. */
  readonly number: string
  /** When the file was created, in nanoseconds; 0: unknown. */
  readonly born: bigint
}

/** `undefined` if no file is there. */
export const identityOf = (file: string): Identity | undefined => {
  const stats = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
  if (stats === undefined) return undefined
  const { dev, ino, birthtimeNs, ctimeNs } = stats
  return {
    number: ino === 0n ? "" : `${dev}:${ino}`,
    // If the file system does not say when files were created, Node gives 0 or the time of the last change.
    born: birthtimeNs === ctimeNs ? 0n : birthtimeNs
  }
}

/**
 * What became of a file:
 *
 * - `same`: it is still there, or its file system does not number files.
 * - `renumbered`: it is still there, but its file system has given it another number.
 * - `replaced`: another file is there, or none.
 * - `unclear`: it has another number, and it is unknown when one of the two was created.
 */
export type Fate = "same" | "renumbered" | "replaced" | "unclear"

/** Compares a file that was kept open with the one that is at its path now. The number of an open file is not reused. */
export const fateOf = (opened: Identity | undefined, found: Identity | undefined): Fate => {
  if (opened === undefined || found === undefined) return opened === found ? "same" : "replaced"
  if (opened.number === found.number) return "same"
  if (opened.born === 0n || found.born === 0n) return "unclear"
  return opened.born === found.born ? "renumbered" : "replaced"
}
