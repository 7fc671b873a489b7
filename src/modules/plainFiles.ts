/**
 * Reads files that a plugin may have provided: only regular files, up to a limit of bytes, and without blocking.
 * FIFOs, devices and sockets are refused before they are opened.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats, statSync } from "node:fs"
import { stateIn } from "../fileStates.ts"
import { LoadProblem } from "./LoadProblem.ts"

export interface PlainFile {
  readonly bytes: Buffer
  /** The file's state, as in `FileStates`. */
  readonly stamp: string
}

const fileTypeOf = (stat: BigIntStats): string => {
  if (stat.isDirectory()) return "a folder"
  if (stat.isFIFO()) return "a FIFO"
  if (stat.isSocket()) return "a socket"
  return stat.isFile() ? "a file" : "a device"
}

const mustBePlain = (file: string, stat: BigIntStats, maxBytes: number): void => {
  if (!stat.isFile()) {
    throw new LoadProblem(`Cannot load "${file}": it is ${fileTypeOf(stat)}, not a regular file.`)
  }
  if (stat.size > maxBytes) throw tooLarge(file, `it has ${stat.size} bytes`, maxBytes)
}

const tooLarge = (file: string, has: string, maxBytes: number): LoadProblem =>
  new LoadProblem(`Cannot load "${file}": ${has}, ${maxBytes} are allowed.`)

/** The stamp and size of a file that `readPlain` would read. */
export const stampOfPlain = (
  file: string,
  maxBytes: number
): { readonly stamp: string; readonly size: number } => {
  const stat = statSync(file, { bigint: true })
  mustBePlain(file, stat, maxBytes)
  return { stamp: stateIn(stat), size: Number(stat.size) }
}

// Windows lacks these flags, and has no FIFOs in folders.
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/** Reads a whole file. Throws a `LoadProblem` if it is too large or not a regular file, or the system's own error. */
export const readPlain = (file: string, maxBytes: number): PlainFile => {
  // Check before opening, because opening a device can have side effects.
  stampOfPlain(file, maxBytes)
  const descriptor = openSync(file, flags)
  try {
    // The file may have been replaced meanwhile.
    const stat = fstatSync(descriptor, { bigint: true })
    mustBePlain(file, stat, maxBytes)
    // One byte more than the size, to detect that the file grows.
    const bytes = Buffer.allocUnsafeSlow(Number(stat.size) + 1)
    let length = 0
    for (;;) {
      const read = readSync(descriptor, bytes, length, bytes.length - length, null)
      length += read
      if (read === 0 || length === bytes.length) break
    }
    if (length === bytes.length) {
      throw new LoadProblem(`Cannot load "${file}": it grows while it is read; try again once it is written.`)
    }
    return { bytes: bytes.subarray(0, length), stamp: stateIn(stat) }
  } finally {
    closeSync(descriptor)
  }
}
