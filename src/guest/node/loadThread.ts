/**
 * The first script of an isolate's thread. It runs the guest's script from code that V8 has compiled in an earlier
 * thread: compiling it would take a sixth of the boot.
 */
import { constants, Script } from "node:vm"
import { type MessagePort, workerData } from "node:worker_threads"

/** The guest's script, as the host sends it. */
export interface ThreadCode {
  readonly file: string
  readonly source: string
  /** If absent, the thread compiles the source and sends the compiled code to the host. */
  readonly compiled?: Uint8Array
}

// The type matches what the host sends (isolates/levels/thread/startThread.ts).
const data: { readonly port: MessagePort; code: ThreadCode | undefined } = workerData
const { port, code } = data
// Not kept for the life of the thread.
data.code = undefined

if (code !== undefined) {
  const { file, source, compiled } = code
  const script = new Script(source, {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(compiled === undefined ? {} : { cachedData: compiled })
  })
  const later = setImmediate
  script.runInThisContext()()
  // After the rehearsal, so that the functions of a load and of a run are among it.
  if (compiled === undefined) later(() => port.postMessage(script.createCachedData()))
}
