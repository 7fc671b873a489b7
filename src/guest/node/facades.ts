/**
 * Stand-ins for the built-in modules that a plugin may have only part of. Each is a plain object of the
 * members that stay within the isolate: nothing that works on file descriptors, on the shared thread pool,
 * on other threads or on the process.
 */
import * as asyncHooks from "node:async_hooks"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import realProcess from "node:process"
import type { Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { isProxy } from "../intrinsics.ts"
import type { Audit } from "./audit.ts"
import { makeParts, pick } from "./builtins.ts"

/** An error that Node's own permission errors look like, so that a plugin may handle both alike. */
export const denied = (what: string, remedy: string): Error =>
  Object.assign(new Error(`Access denied: ${what}. ${remedy}`), { code: "ERR_ACCESS_DENIED" })

// Path functions only: the thread's permission flags judge paths, but a file descriptor's number (the hub's
// open database, say) is no path. Links are left out: they would make one path stand for another.
const writing = /^(append|copy|mk|rename|rm|truncate|unlink|utimes|write)/

const syncPathFunctions = [
  "accessSync",
  "appendFileSync",
  "copyFileSync",
  "existsSync",
  "lstatSync",
  "mkdirSync",
  "mkdtempSync",
  "readFileSync",
  "readdirSync",
  "realpathSync",
  "renameSync",
  "rmSync",
  "rmdirSync",
  "statSync",
  "truncateSync",
  "unlinkSync",
  "utimesSync",
  "writeFileSync"
] // prettier-ignore
const asyncPathFunctions = syncPathFunctions.map((name) => name.replace(/Sync$/, ""))

type AnyFunction = (...args: Array<unknown>) => unknown
const isFunction = (value: unknown): value is AnyFunction => typeof value === "function"

const { permission } = realProcess
// Taken before the plugin loads. Bun has no permissions, and its plugins no façades.
const isGranted = (path: string): boolean =>
  permission.has("fs.read", path) || permission.has("fs.write", path)

/** A path as a value that cannot change between the look at it and its use; anything else is refused. */
const toPath = (name: string, target: unknown): string => {
  if (typeof target === "string") return target
  if (target instanceof URL) return fileURLToPath(target.href)
  if (Buffer.isBuffer(target)) return target.toString()
  throw denied(`fs.${name} on something that is not a path`, "Plugins have no file descriptors; give a path.")
}

/**
 * Judges the path before Node does: not all of Node's own functions ask the permissions first, and some tell
 * what exists.
 */
const onlyPaths = (name: string, original: AnyFunction, audit: Audit): AnyFunction => {
  // Decided here, before any plugin code could have a say in it.
  const use = writing.test(name) ? "write" : "read"
  const moves = name.startsWith("rename")
  const hasSecond = moves || name.startsWith("copyFile")
  return (target, ...rest) => {
    const path = toPath(name, target)
    const allowed = audit.active() ? audit.allows(use, path) : isGranted(path)
    if (!allowed) {
      if (name === "existsSync") return false
      throw denied(`fs.${name} on ${path}`, "Only what grants.read and grants.write name can be used.")
    }
    const [given] = rest
    if (typeof given === "object" && given !== null && "fd" in given) {
      throw denied(`fs.${name} with a file descriptor`, "Give a path.")
    }
    if (!audit.active()) return original(path, ...rest)
    // A tree may hold the hub's own folder; one that is granted was searched for it.
    const isTree =
      moves || isProxy(given) || (typeof given === "object" && given !== null && "recursive" in given)
    if (isTree && !audit.covers(use, path)) {
      throw denied(`fs.${name} on ${path} and all below it`, "In an audit too it takes a grant.")
    }
    // The second path of a copy or a renaming.
    if (hasSecond) {
      const second = toPath(name, given)
      if (!audit.allows("write", second)) throw denied(`fs.${name} to ${second}`, "It is the hub's own.")
      return original(path, second, ...rest.slice(1))
    }
    return original(path, ...rest)
  }
}

const guarded = (from: object, names: ReadonlyArray<string>, audit: Audit): Record<string, AnyFunction> => {
  const result: Record<string, AnyFunction> = {}
  for (const name of names) {
    const original: unknown = Reflect.get(from, name)
    if (isFunction(original)) result[name] = onlyPaths(name, original, audit)
  }
  return result
}

const makeFs = (audit: Audit): { readonly fs: object; readonly promises: object } => {
  const promises = Object.fromEntries(
    Object.entries(guarded(fs.promises, asyncPathFunctions, audit)).map(([name, call]) => [
      name,
      async (...args: Array<unknown>) => call(...args)
    ])
  )
  const callbacks = asyncPathFunctions.filter((name) => name !== "exists")
  return {
    fs: {
      ...guarded(fs, syncPathFunctions, audit),
      ...guarded(fs, callbacks, audit),
      constants: fs.constants,
      promises
    },
    promises
  }
}

/** What a plugin sees of the process: its shape, none of its powers but ending its own isolate. */
const makeProcess = (
  streams: { readonly stdout: Writable; readonly stderr: Writable },
  env: object
): object => {
  const ignore = (): object => facade
  const facade = {
    ...pick(realProcess, ["version", "versions", "platform", "arch", "release", "features"]),
    argv: ["node", "plugin"],
    argv0: "node",
    execArgv: [],
    execPath: "",
    pid: 0,
    ppid: 0,
    title: "plugin",
    env,
    exitCode: undefined,
    stdout: streams.stdout,
    stderr: streams.stderr,
    cwd: () => "/",
    exit: (code?: number) => realProcess.exit(code),
    nextTick: realProcess.nextTick.bind(realProcess),
    hrtime: realProcess.hrtime,
    uptime: () => globalPerformance.now() / 1000,
    emitWarning: (warning: unknown) => streams.stderr.write(`Warning: ${String(warning)}\n`),
    // Listeners for the process's events would see (and could hold up) the isolate's own end.
    on: ignore,
    once: ignore,
    off: ignore,
    addListener: ignore,
    removeListener: ignore,
    removeAllListeners: ignore,
    listenerCount: () => 0,
    listeners: () => []
  }
  return facade
}

/** A hash without Node's own object, whose native handle a plugin could call in ways that abort the process. */
const digester = (hash: crypto.Hash | crypto.Hmac): object => {
  const it = {
    update: (data: string, encoding?: crypto.Encoding) => {
      if (encoding === undefined) hash.update(data)
      else hash.update(data, encoding)
      return it
    },
    digest: (encoding?: crypto.BinaryToTextEncoding) =>
      encoding === undefined ? hash.digest() : hash.digest(encoding)
  }
  return it
}

/**
 * The clock alone: marks clone what they are given, and what clones can be made to build any of Node's own
 * objects, a handle of an open file among them. For the same reason there is no `structuredClone`.
 */
export const globalPerformance = {
  now: performance.now.bind(performance),
  timeOrigin: performance.timeOrigin
}

// Synchronous hashing only: the rest would occupy the thread pool that the whole host shares.
const cryptoFacade = {
  createHash: (algorithm: string) => digester(crypto.createHash(algorithm)),
  createHmac: (algorithm: string, key: string) => digester(crypto.createHmac(algorithm, key)),
  ...pick(crypto, ["hash", "getHashes", "randomUUID", "timingSafeEqual"]),
  randomBytes: (size: number) => crypto.randomBytes(size),
  randomInt: (...bounds: [number, number]) => Reflect.apply(crypto.randomInt, crypto, bounds.slice(0, 2)),
  getRandomValues: (array: Uint8Array<ArrayBuffer>) => crypto.webcrypto.getRandomValues(array)
}

/** The Web's `crypto`, without the part that works on the host's thread pool. */
export const globalCrypto = {
  getRandomValues: cryptoFacade.getRandomValues,
  randomUUID: crypto.randomUUID
}

/** What a plugin gets instead of the modules and of the process's environment. */
export interface Facades {
  /** By module name, without `node:`. */
  readonly modules: Map<string, object>
  readonly setEnv: (values: { readonly [name: string]: string }) => void
}

export const makeFacades = (
  streams: { readonly stdout: Writable; readonly stderr: Writable },
  audit: Audit
): Facades => {
  const env: Record<string, string> = {}
  // In audit mode a variable that is not granted stays unset; that it was looked for is reported.
  const watchedEnv = new Proxy(env, {
    get: (target, name, receiver) => {
      if (audit.active() && typeof name === "string" && !Object.hasOwn(target, name)) {
        audit.report({ capability: "env", what: name.slice(0, 200) })
      }
      return Reflect.get(target, name, receiver)
    }
  })
  const files = makeFs(audit)
  return {
    setEnv: (values) => {
      Object.assign(env, values)
    },
    modules: new Map<string, object>([
      ...makeParts(),
      ["async_hooks", pick(asyncHooks, ["AsyncLocalStorage"])],
      ["crypto", cryptoFacade],
      ["fs", files.fs],
      ["fs/promises", files.promises],
      ["os", { EOL: os.EOL, platform: os.platform, arch: os.arch, type: os.type, endianness: os.endianness }],
      ["perf_hooks", { performance: globalPerformance }],
      ["process", makeProcess(streams, watchedEnv)],
      ["tty", { isatty: () => false }]
    ])
  }
}
