/** The wasm level: a thread around QuickJS in WebAssembly. Plugin code runs inside of that only. */
import { Effect } from "effect"
import * as fs from "node:fs"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type CompiledModule, type MemorySize, webAssembly } from "../../../guest/quickjs/webAssembly.ts"
import { bootFile } from "../../guestFiles.ts"
import { permissionFlags } from "../permissionFlags.ts"
import type { BootOptions } from "../IsolateFactory.ts"
import { packageFile } from "../../packageFile.ts"
import { startWorker } from "../thread/startThread.ts"
import type { Death, Transport, TransportEvents } from "../../isolate/Transport.ts"

const variant = "@jitl/quickjs-ng-wasmfile-release-sync"

/** Compiled at most once in a process; isolates get it ready to be instantiated. */
let compiled: Promise<CompiledModule> | undefined
const compile = async (): Promise<CompiledModule> =>
  webAssembly.compile(await readFile(fileURLToPath(import.meta.resolve(`${variant}/wasm`))))

export const compileQuickJS: Effect.Effect<CompiledModule, Death> = Effect.tryPromise({
  try: () => (compiled ??= compile()),
  catch: (error) => ({ reason: `QuickJS could not be compiled (${String(error)})` })
})

interface Package {
  /** Real path of the file that an import of it leads to. */
  readonly entry: string
  /** Its folder, and the link to it that some package managers make. */
  readonly places: ReadonlyArray<string>
}

/** Where Node finds a package that `from` depends on. */
const findPackage = (name: string, from: string | URL): Package => {
  const require = createRequire(from)
  const entry = fs.realpathSync(require.resolve(name))
  const folder = path.dirname(packageFile(entry) ?? entry) + path.sep
  const parents = require.resolve.paths(name) ?? []
  const link = parents.map((parent) => path.join(parent, name)).find((file) => fs.existsSync(file))
  return { entry, places: link === undefined ? [folder] : [folder, link, link + path.sep] }
}

/** The packages that the thread's own code is made of; each has the JavaScript that goes with the instance. */
const packageReads = (): ReadonlyArray<string> => {
  const core = findPackage("quickjs-emscripten-core", import.meta.url)
  const engine = findPackage(variant, import.meta.url)
  const shared = findPackage("@jitl/quickjs-ffi-types", core.entry)
  return [core, engine, shared].flatMap(({ places }) => places)
}

const pagesInMebibyte = 16

/** What the instance has for itself: its stack, and code and data of QuickJS. Its memory starts with as much. */
const overhead = 16 * pagesInMebibyte

/** QuickJS counts the memory that it gives out. The unused memory between comes on top. */
const memorySize = (mebibytes: number): MemorySize => ({
  initial: overhead,
  maximum: Math.min(32_768, overhead + Math.ceil(1.25 * mebibytes * pagesInMebibyte))
})

/** Starts a thread with an engine; it is ready once its hello has come. */
export const startWasm = (
  bootOptions: BootOptions,
  module: CompiledModule,
  confined: boolean
): ((events: TransportEvents) => Transport) =>
  startWorker({
    boot: new URL("../quickjs/bootWasm.js", bootFile("bootThread")),
    execArgv: confined ? permissionFlags({ ...bootOptions, read: packageReads() }) : [],
    data: { module, size: memorySize(bootOptions.memory ?? 0) },
    limited: confined,
    // Buffers hold copies of what the engine has counted already.
    buffers: false
  })
