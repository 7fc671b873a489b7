/**
 * The functions that read and write files. They open each file without blocking and check its type before the first
 * byte: a pipe without a writer would block its reader forever, and a device has no end.
 */
import * as fs from "node:fs"
import { apply } from "../shared/intrinsics.ts"
import { names } from "../shared/names.ts"
import { denied } from "./denied.ts"

export type AnyFunction = (...args: Array<unknown>) => unknown
export const isFunction = (value: unknown): value is AnyFunction => typeof value === "function"

const { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, writeFileSync, writeSync } = fs
const { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY, COPYFILE_EXCL } =
  fs.constants

/** Node's names for flags. */
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

const flagsOf = (flag: unknown): number => {
  const number = typeof flag === "number" ? flag : typeof flag === "string" ? flags[flag] : undefined
  if (number !== undefined) return number
  throw Object.assign(new TypeError(`The argument 'flags' is invalid. Received ${String(flag)}`), {
    code: "ERR_INVALID_ARG_VALUE"
  })
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
    const stats = fstatSync(fd)
    if (!stats.isFile() && !stats.isDirectory()) {
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

const writing =
  (name: string, usual: string) =>
  (path: string, data: unknown, given: unknown): void => {
    const { flag, mode, ...options } = optionsOf(given)
    within(name, path, { flag: flag ?? usual, ...(mode === undefined ? {} : { mode }) }, (fd) =>
      apply(writeFileSync, undefined, [fd, data, options])
    )
  }

const copyBytes = 64 * 1024

const copy = (from: string, to: string, mode: unknown): void => {
  within("copyFileSync", from, { flag: "r" }, (source) => {
    const exclusive = typeof mode === "number" && (mode & COPYFILE_EXCL) !== 0
    within("copyFileSync", to, { flag: exclusive ? "wx" : "w", mode: fstatSync(source).mode }, (target) => {
      const bytes = new Uint8Array(copyBytes)
      for (let length = 1; length > 0; ) {
        length = readSync(source, bytes)
        for (let written = 0; written < length; )
          written += writeSync(target, bytes, written, length - written)
      }
    })
  })
}

/** The functions that open files, reimplemented. */
const opening = {
  appendFileSync: writing("appendFileSync", "a"),
  copyFileSync: copy,
  readFileSync: (path: string, given: unknown) => {
    const { flag, encoding } = optionsOf(given)
    return within("readFileSync", path, { flag: flag ?? "r" }, (fd) =>
      apply(readFileSync, undefined, [fd, { encoding: encoding ?? null }])
    )
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
