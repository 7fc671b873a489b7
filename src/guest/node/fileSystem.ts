/**
 * A plugin's `fs`: functions of paths, for regular files and folders only. There are no file descriptors, because
 * permission flags check paths, and a descriptor's number could be the hub's open database. All functions are
 * synchronous inside: the host shares the thread pool, and a call that hangs there would block it forever.
 */
import * as fs from "node:fs"
import { isAbsolute, resolve } from "node:path"
import realProcess from "node:process"
import { fileURLToPath } from "node:url"
import { isProxy } from "../shared/intrinsics.ts"
import { rememberMissing } from "../shared/missingGrants.ts"
import { type Audit, isClosed } from "./audit.ts"
import { denied } from "./denied.ts"
import { isFunction, operations, type AnyFunction } from "./regularFiles.ts"

// Names of the functions that write.
const writing = /^(append|copy|mk|rename|rm|truncate|unlink|utimes|write)/

const { permission } = realProcess
// Captured before the plugin loads. Bun has no permissions; plugins there run without stand-ins.
const isGranted = (path: string): boolean =>
  permission.has("fs.read", path) || permission.has("fs.write", path)

/**
 * The path as a string, which cannot change between the check and the use. Throws for anything that is not a path.
 */
const toPath = (name: string, target: unknown): string => {
  if (typeof target === "string") return target
  if (target instanceof URL) return fileURLToPath(target.href)
  // A template returns a string, whatever a plugin has made of `toString`.
  if (Buffer.isBuffer(target)) return `${target}`
  throw denied(`fs.${name} on something that is not a path`, "Plugins have no file descriptors; give a path.")
}

/** The error for a path that is closed to every plugin. */
const closed = (what: string): Error =>
  denied(what, "No plugin may use the hub's own folder, or the system's virtual files.")

/** The error for a path without a grant, with the line that the operator pastes into the config. */
const ungranted = (what: string, use: "read" | "write", path: string): Error => {
  const entry = isAbsolute(path) ? path : resolve(path)
  if (isClosed(entry)) return closed(what)
  return rememberMissing(denied(what, `Grant it with grants.${use}: [${JSON.stringify(entry)}]`), use, entry)
}

/**
 * Checks the path before Node does. Some of Node's functions do not ask the permissions first, and some reveal
 * which files exist.
 */
const onlyPaths = (name: string, original: AnyFunction, audit: Audit): AnyFunction => {
  // Decided here, before plugin code could influence it.
  const copies = name.startsWith("copyFile")
  // A copy reads its first path and writes its second.
  const use = writing.test(name) && !copies ? "write" : "read"
  const moves = name.startsWith("rename")
  const hasSecond = moves || copies
  return (target, ...rest) => {
    const path = toPath(name, target)
    const audited = audit.active()
    if (!(audited ? audit.allows(use, path) : isGranted(path))) {
      if (name === "existsSync") return false
      const what = `fs.${name} on ${path}`
      throw audited ? closed(what) : ungranted(what, use, path)
    }
    const [given, ...options] = rest
    const isObject = typeof given === "object" && given !== null
    if (isObject && "fd" in given) throw denied(`fs.${name} with a file descriptor`, "Give a path.")
    // A tree may contain the hub's own folder. Only granted trees were checked for it, so others are refused.
    const isTree = moves || isProxy(given) || (isObject && "recursive" in given)
    if (audited && isTree && !audit.covers(use, path)) {
      throw denied(`fs.${name} on ${path} and all below it`, "In an audit too it takes a grant.")
    }
    if (!hasSecond) return original(path, ...rest)
    const second = toPath(name, given)
    if (!(audited ? audit.allows("write", second) : permission.has("fs.write", second))) {
      const what = `fs.${name} to ${second}`
      throw audited ? closed(what) : ungranted(what, "write", second)
    }
    return original(path, second, ...options)
  }
}

const { nextTick } = realProcess

const withCallback =
  (call: AnyFunction): AnyFunction =>
  (...args) => {
    const callback = args.pop()
    if (!isFunction(callback)) {
      throw Object.assign(new TypeError('The "cb" argument must be of type function'), {
        code: "ERR_INVALID_ARG_TYPE"
      })
    }
    try {
      const result = call(...args)
      nextTick(() => callback(null, result))
    } catch (error) {
      nextTick(() => callback(error))
    }
  }

export const makeFs = (audit: Audit): { readonly fs: object; readonly promises: object } => {
  const all: Record<string, unknown> = { constants: fs.constants }
  const promises: Record<string, AnyFunction> = {}
  for (const [name, operation] of Object.entries(operations)) {
    const call = onlyPaths(name, operation, audit)
    all[name] = call
    if (name === "existsSync") continue
    const plain = name.replace(/Sync$/, "")
    all[plain] = withCallback(call)
    promises[plain] = async (...args: Array<unknown>) => call(...args)
  }
  return { fs: { ...all, promises }, promises }
}
