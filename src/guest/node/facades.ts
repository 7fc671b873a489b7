/**
 * Stand-ins for the built-in modules that plugins get only in part. Each is a plain object whose members stay
 * within the isolate: no file descriptors, shared thread pool, other threads or process control.
 */
import * as asyncHooks from "node:async_hooks"
import * as crypto from "node:crypto"
import * as os from "node:os"
import realProcess from "node:process"
import type { Writable } from "node:stream"
import { names } from "../shared/names.ts"
import { watchedEnv } from "../shared/watchedEnv.ts"
import type { Audit } from "./audit.ts"
import { makeParts, pick } from "./builtins.ts"
import { denied } from "./denied.ts"
import { makeFs } from "./fileSystem.ts"
import { getRandomValues, randomBytes, randomInt, randomUUID } from "./randomness.ts"

/** The `process` of a plugin. It has the usual members, but the only power is to end its own isolate. */
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
    // Listeners are ignored: they would see the isolate's own end and could delay it.
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

/** A hash as a plain object. Node's own hash exposes a native handle that a plugin could use to abort the process. */
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
 * `performance` with only the clock. Marks clone their details, and cloning can be misused to build any of Node's
 * own objects, such as a handle of an open file. For the same reason there is no `structuredClone`.
 */
export const globalPerformance = {
  now: performance.now.bind(performance),
  timeOrigin: performance.timeOrigin
}

// Only synchronous functions: the others would use the thread pool that the whole host shares.
const cryptoFacade = {
  createHash: (algorithm: string) => digester(crypto.createHash(algorithm)),
  createHmac: (algorithm: string, key: string) => digester(crypto.createHmac(algorithm, key)),
  ...pick(crypto, ["hash", "getHashes", "timingSafeEqual"]),
  randomBytes,
  randomInt,
  randomUUID,
  getRandomValues
}

const subtleMethods = names(`
  decrypt deriveBits deriveKey digest encrypt exportKey generateKey importKey sign unwrapKey verify wrapKey
`)

/** A `crypto.subtle` that rejects every call with what to use instead: the real one uses the host's thread pool. */
const subtle = Object.fromEntries(
  subtleMethods.map((name) => [
    name,
    () =>
      Promise.reject(
        denied(
          `crypto.subtle.${name}`,
          "It would work in the host's thread pool; hash with createHash or createHmac of node:crypto."
        )
      )
  ])
)

/** The Web's `crypto`, limited to its synchronous functions. */
export const globalCrypto = { subtle, getRandomValues, randomUUID }

/** What a plugin gets instead of the real modules and the process's environment. */
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
      [
        "process",
        makeProcess(
          streams,
          watchedEnv(env, audit.active, (what) => audit.report({ capability: "env", what }))
        )
      ],
      ["tty", { isatty: () => false }]
    ])
  }
}
