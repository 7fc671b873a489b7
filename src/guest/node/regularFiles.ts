/**
 * The functions that read and write files. They open each file without blocking and check its type before the first
 * byte: a pipe without a writer would block its reader forever, and a device has no end.
 */
import * as fs from "node:fs"
import { apply } from "../shared/intrinsics.ts"
import { names } from "../shared/names.ts"
import { denied } from "./denied.ts"
import { allocate, allocateSized, bytesOf, copyTo, lengthOf, partOf } from "./sizedBytes.ts"

export type AnyFunction = (...args: Array<unknown>) => unknown
export const isFunction = (value: unknown): value is AnyFunction => typeof value === "function"

const { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } = fs
const { isView } = ArrayBuffer
const { from: bufferFrom, isEncoding } = Buffer
const { toString } = Buffer.prototype
const { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = fs.constants
const { COPYFILE_EXCL, S_IFDIR, S_IFMT, S_IFREG } = fs.constants

const flags: { readonly [name: string]: number } = Object.assign(Object.create(null), {
  r: O_RDONLY,
  rs: O_RDONLY | O_SYNC,
  "r+": O_RDWR,
  "rs+": O_RDWR | O_SYNC,
  w: O_TRUNC | O_CREAT | O_WRONLY,
  wx: O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
  "w+": O_TRUNC | O_CREAT | O_RDWR,
  "wx+": O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
  a: O_APPEND | O_CREAT | O_WRONLY,
  ax: O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
  "a+": O_APPEND | O_CREAT | O_RDWR,
  "ax+": O_APPEND | O_CREAT | O_RDWR | O_EXCL,
  as: O_APPEND | O_CREAT | O_WRONLY | O_SYNC
})

const invalid = (message: string, code: string): TypeError => Object.assign(new TypeError(message), { code })

const flagsOf = (flag: unknown): number => {
  const number = typeof flag === "number" ? flag : typeof flag === "string" ? flags[flag] : undefined
  if (number !== undefined) return number
  throw invalid(`The argument 'flags' is invalid. Received ${String(flag)}`, "ERR_INVALID_ARG_VALUE")
}

interface Options {
  readonly flag?: unknown
  readonly mode?: fs.Mode
  readonly encoding?: unknown
  readonly flush?: unknown
}

/**
 * Opens a regular file, calls `use` with the descriptor and closes the file. Folders may be opened too, but their
 * use fails.
 */
const within = <A>(name: string, path: string, { flag, mode }: Options, use: (fd: number) => A): A => {
  const fd = openSync(path, flagsOf(flag) | O_NONBLOCK, mode ?? 0o666)
  try {
    // Not `isFile()`: a plugin can patch the methods.
    const type = fstatSync(fd).mode & S_IFMT
    if (type !== S_IFREG && type !== S_IFDIR) {
      throw denied(`fs.${name} on ${path}`, "It is a pipe, a socket or a device; give a regular file.")
    }
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** A copy of the options, so that each is read only once. */
const optionsOf = (given: unknown): Options => {
  if (typeof given === "string") return { encoding: given }
  return typeof given === "object" && given !== null ? { ...given } : {}
}

/** The encoding of text; `undefined` for bytes. */
const encodingOf = (encoding: unknown): BufferEncoding | undefined => {
  if (encoding === undefined || encoding === null || encoding === "" || encoding === "buffer")
    return undefined
  if (typeof encoding === "string" && isEncoding(encoding)) return encoding
  throw invalid(`The argument 'encoding' is invalid. Received ${String(encoding)}`, "ERR_INVALID_ARG_VALUE")
}

/** In bytes. Node reads and writes only into and from bytes that plugins cannot reach. */
const chunkSize = 64 * 1024

const writeAll = (fd: number, bytes: Uint8Array): void => {
  const length = lengthOf(bytes)
  const chunk = allocateSized(length < chunkSize ? length : chunkSize)
  for (let at = 0; at < length; at += chunkSize) {
    const size = length - at < chunkSize ? length - at : chunkSize
    copyTo(chunk, partOf(bytes, at, size), 0)
    for (let written = 0; written < size; ) written += writeSync(fd, chunk, written, size - written)
  }
}

const readAll = (fd: number): Buffer => {
  const chunk = allocateSized(chunkSize)
  let bytes = allocate(fstatSync(fd).size)
  let length = 0
  for (;;) {
    const read = readSync(fd, chunk, 0, chunkSize, null)
    if (read === 0) break
    // The file has grown, or does not say its size.
    if (length + read > lengthOf(bytes)) {
      const larger = allocate(2 * (length + read))
      copyTo(larger, partOf(bytes, 0, length), 0)
      bytes = larger
    }
    copyTo(bytes, partOf(chunk, 0, read), length)
    length += read
  }
  if (length === lengthOf(bytes)) return bytes
  const exact = allocate(length)
  copyTo(exact, partOf(bytes, 0, length), 0)
  return exact
}

const bytesToWrite = (data: unknown, encoding: unknown): Uint8Array => {
  if (typeof data === "string") return bufferFrom(data, encodingOf(encoding) ?? "utf8")
  if (isView(data)) return bytesOf(data)
  throw invalid(
    'The "data" argument must be of type string or an instance of Buffer, TypedArray, or DataView',
    "ERR_INVALID_ARG_TYPE"
  )
}

const writing =
  (name: string, usual: string) =>
  (path: string, data: unknown, given: unknown): void => {
    const { flag, mode, encoding, flush } = optionsOf(given)
    const bytes = bytesToWrite(data, encoding)
    within(name, path, { flag: flag ?? usual, ...(mode === undefined ? {} : { mode }) }, (fd) => {
      writeAll(fd, bytes)
      if (flush === true) fsyncSync(fd)
    })
  }

const copy = (from: string, to: string, mode: unknown): void => {
  within("copyFileSync", from, { flag: "r" }, (source) => {
    const exclusive = typeof mode === "number" && (mode & COPYFILE_EXCL) !== 0
    within("copyFileSync", to, { flag: exclusive ? "wx" : "w", mode: fstatSync(source).mode }, (target) => {
      const chunk = allocateSized(chunkSize)
      for (let length = 1; length > 0; ) {
        length = readSync(source, chunk, 0, chunkSize, null)
        for (let written = 0; written < length; )
          written += writeSync(target, chunk, written, length - written)
      }
    })
  })
}

const opening = {
  appendFileSync: writing("appendFileSync", "a"),
  copyFileSync: copy,
  readFileSync: (path: string, given: unknown) => {
    const { flag, ...options } = optionsOf(given)
    const encoding = encodingOf(options.encoding)
    const bytes = within("readFileSync", path, { flag: flag ?? "r" }, readAll)
    return encoding === undefined ? bytes : apply(toString, bytes, [encoding])
  },
  truncateSync: (path: string, length: unknown) =>
    within("truncateSync", path, { flag: "r+" }, (fd) => apply(ftruncateSync, undefined, [fd, length])),
  writeFileSync: writing("writeFileSync", "w")
}

// Functions that make links are left out: a link would make one path stand for another.
const others = names(`
  accessSync existsSync lstatSync mkdirSync mkdtempSync readdirSync realpathSync renameSync rmSync rmdirSync
  statSync unlinkSync utimesSync
`)

/** The functions of paths that plugins may have, by name. */
export const operations: { readonly [name: string]: AnyFunction } = {
  ...Object.fromEntries(
    others.flatMap((name) => {
      const original: unknown = Reflect.get(fs, name)
      return isFunction(original) ? [[name, original] as const] : []
    })
  ),
  ...(opening as { readonly [Name in keyof typeof opening]: AnyFunction })
}
