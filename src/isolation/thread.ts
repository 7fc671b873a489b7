/** The thread level: a worker with permission flags of its own, talked to over a private port. */
import { Effect } from "effect"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"
import type { ResolvedGrants } from "../Capabilities.ts"
import { packageFile } from "./packageFile.ts"
import type { Death, Transport, TransportEvents } from "./Transport.ts"

// Threads boot compiled code, from sources too (`npm run build:guest`): compiling it in each would take ten
// times as long as the boot itself.
const bootUrl = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/guest/boot.js" : "../guest/boot.js",
  import.meta.url
)

/** Files of this library that a thread reads to boot; a plugin's own come from the module loader. */
const bootReads = [
  path.dirname(fileURLToPath(bootUrl)) + path.sep,
  packageFile(fileURLToPath(bootUrl)) ?? path.dirname(fileURLToPath(bootUrl))
]

/**
 * V8's own heap limit, in MiB: far above any plugin's, because a thread that runs into it can take the whole
 * process down. The memory watch stops a plugin long before.
 */
const engineHeapLimit = 1024

/** How long a host waits for a thread to die, in milliseconds, before it counts it as a zombie. */
const deathWait = 250

const flags = (grants: ResolvedGrants): Array<string> => [
  "--permission",
  ...[...bootReads, ...grants.read].map((file) => `--allow-fs-read=${file}`),
  ...grants.write.map((file) => `--allow-fs-write=${file}`),
  "--no-addons",
  "--no-warnings",
  "--no-experimental-websocket",
  "--no-experimental-global-navigator"
]

/** A field of an error that a plugin may have made: any value, any length. */
const text = (field: unknown): string => (typeof field === "string" ? field.slice(0, 500) : "(not a text)")

/** Why a worker emitted `error`; the value is whatever the plugin threw. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return `an uncaught ${error === null ? "null" : typeof error} was thrown`
  if (Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY") return "it ran out of memory"
  return `uncaught ${text(error.name)}: ${text(error.message)}`
}

/** Starts a thread; it is ready once its hello has come. */
export const startThread =
  (grants: ResolvedGrants, confined: boolean) =>
  (events: TransportEvents): Transport => {
    const { port1, port2 } = new MessageChannel()
    const worker = new Worker(bootUrl, {
      name: "agentlip-guest",
      execArgv: confined ? flags(grants) : [],
      env: {},
      stdin: false,
      stdout: true,
      stderr: true,
      workerData: { port: port2, confined },
      transferList: [port2],
      ...(confined ? { resourceLimits: { maxOldGenerationSizeMb: engineHeapLimit } } : {})
    })
    let reason: string | undefined
    let gone = false
    const onGone: Array<() => void> = []

    // Nothing is to be read there (the guest's streams go over the port), and nothing may pile up. Reading would
    // hold the host's process for as long as the thread lives.
    worker.stdout.destroy()
    worker.stderr.destroy()
    port1.on("message", events.message)
    port1.unref()
    worker.on("message", () => events.message(undefined))
    // After that listener, which would hold the process too.
    worker.unref()
    worker.on("messageerror", () => events.message(undefined))
    port1.on("messageerror", () => events.message(undefined))
    worker.on("error", (error) => {
      reason ??= reasonOf(error)
    })
    worker.on("exit", (exitCode) => {
      // What the guest sent before its end may still wait in the port.
      for (let last = receiveMessageOnPort(port1); last !== undefined; last = receiveMessageOnPort(port1)) {
        events.message(last.message)
      }
      port1.close()
      gone = true
      const death: Death = { reason: reason ?? "it ended without an answer", exitCode }
      events.died(death)
      for (const tell of onGone) tell()
    })

    const kill = Effect.callback<boolean>((resume) => {
      if (gone) return resume(Effect.succeed(true))
      onGone.push(() => resume(Effect.succeed(true)))
      // Its promise is the exit event, which is listened to above.
      void worker.terminate()
    }).pipe(
      // Finalizers run uninterruptibly; the wait must end there too.
      Effect.interruptible,
      Effect.timeoutOrElse({
        duration: deathWait,
        orElse: () =>
          Effect.sync(() => {
            worker.unref()
            return false
          })
      })
    )

    return {
      send: (text) => port1.postMessage(text),
      load: (request) =>
        port1.postMessage(request, request.modules === undefined ? [] : [request.modules.port]),
      hold: (held) => (held && !gone ? worker.ref() : worker.unref()),
      kill,
      memory: async () => {
        const heap = await worker.getHeapStatistics()
        return heap.used_heap_size + heap.external_memory + heap.malloced_memory
      }
    }
  }
