/** The thread level: a worker with its own permission flags, connected by a private port. */
import { Effect } from "effect"
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads"
import type { PostedFrame, Posted } from "../../../guest/node/threadLine.ts"
import type { ModuleChannel } from "../../../wire/modules.ts"
import type { GuestModules } from "../../../modules/GuestModules.ts"
import { bootFile } from "../../guestFiles.ts"
import { permissionFlags } from "../permissionFlags.ts"
import { timeoutAwake } from "../../watch/HostPauses.ts"
import type { BootOptions } from "../IsolateFactory.ts"
import { codeKeeper, takeCode, threadCode } from "./threadCode.ts"
import { type Death, deathWait, type Transport, type TransportEvents } from "../../isolate/Transport.ts"

/**
 * V8's own heap limit, in MiB. It is far above any plugin's limit, because a thread that reaches it can end the whole
 * process. The memory watch stops a plugin long before.
 */
const engineHeapLimit = 1024

/**
 * MiB for young objects, a third of it in use at a time. What V8 has not yet collected counts as the plugin's memory,
 * and V8's default is 96: of large messages alone, more than a plugin's limit could be waiting for a collection.
 */
const engineYoungLimit = 24

/** The most messages to read per event, so that a guest that never stops sending does not block the host. */
const takenAtOnce = 64

/** A field of an error. A plugin may have made the error, so the field may have any value of any length. */
const text = (field: unknown): string => (typeof field === "string" ? field.slice(0, 500) : "(not a text)")

/** Why a worker emitted `error`. The plugin may have thrown any value. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return `an uncaught ${error === null ? "null" : typeof error} was thrown`
  if (Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY") return "it ran out of memory"
  return `uncaught ${text(error.name)}: ${text(error.message)}`
}

/** Passes on a guest's module requests, and wakes the guest with each answer. */
const serveGuest = (
  port: MessagePort,
  flag: Int32Array<SharedArrayBuffer>,
  modules: GuestModules,
  broken: (what: string) => void
): void => {
  const ask = modules.serve({
    send: ({ head, body }) => {
      port.postMessage({ head, body } satisfies PostedFrame, [body.buffer])
      Atomics.store(flag, 0, 1)
      Atomics.notify(flag, 0)
    },
    broken
  })
  port.on("message", ask)
  port.unref()
}

export interface ThreadOptions {
  readonly boot: URL
  readonly execArgv: ReadonlyArray<string>
  /** Its `workerData`, in addition to `port` and `modules`. */
  readonly data: object
  /** Whether it has V8 limits of its own. A runtime without permissions has no such limits. */
  readonly limited: boolean
  /** Whether buffers count as the plugin's memory. Default `true`. */
  readonly buffers?: boolean
}

/** Starts a thread; it is ready once its hello has come. */
export const startThread =
  (bootOptions: BootOptions, confined: boolean, inspectable: boolean) =>
  (events: TransportEvents): Transport => {
    if (!confined) {
      return startWorker({ boot: bootFile("bootThread"), execArgv: [], data: { confined }, limited: false })(
        events
      )
    }
    const code = threadCode()
    const receive =
      code.compiled === undefined
        ? takeCode((message) => events.message(message), codeKeeper())
        : events.message
    return startWorker({
      boot: bootFile("loadThread"),
      execArgv: [...permissionFlags(bootOptions), ...(inspectable ? ["--allow-inspector"] : [])],
      data: { confined, code },
      limited: true
    })({ ...events, message: receive })
  }

/** Starts a thread with any boot file that uses the guest's protocol. */
export const startWorker =
  ({ boot, execArgv, data, limited, buffers = true }: ThreadOptions) =>
  (events: TransportEvents): Transport => {
    const { port1, port2 } = new MessageChannel()
    // Here and not with the load, which would wait for it: in a guest, a port takes longer than the rest of a message.
    const moduleChannel = new MessageChannel()
    const flag = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(boot, {
      name: "agentlip-guest",
      execArgv: [...execArgv],
      env: {},
      stdin: false,
      stdout: true,
      stderr: true,
      workerData: {
        ...data,
        port: port2,
        modules: { port: moduleChannel.port2, flag: flag.buffer } satisfies ModuleChannel
      },
      transferList: [port2, moduleChannel.port2],
      ...(limited
        ? {
            resourceLimits: {
              maxOldGenerationSizeMb: engineHeapLimit,
              maxYoungGenerationSizeMb: engineYoungLimit
            }
          }
        : {})
    })
    let reason: string | undefined
    let gone = false
    let isEnding = false
    const onGone: Array<() => void> = []

    // The guest's streams go over the port, so nothing is read here, and nothing may pile up. Reading would keep the
    // host's process alive as long as the thread.
    worker.stdout.destroy()
    worker.stderr.destroy()
    port1.on("message", (message) => {
      events.message(message)
      // Messages that have arrived meanwhile are read now, without an event for each. Their callers go on together,
      // and their next runs go out in one message.
      for (let taken = 0; taken < takenAtOnce; taken++) {
        const more = receiveMessageOnPort(port1)
        if (more === undefined) return
        events.message(more.message)
      }
    })
    port1.unref()
    worker.on("message", () => events.message(undefined))
    // After that, because adding the listener keeps the process alive too.
    worker.unref()
    worker.on("messageerror", () => events.message(undefined))
    port1.on("messageerror", () => events.message(undefined))
    worker.on("error", (error) => {
      reason ??= reasonOf(error)
    })
    worker.on("exit", (exitCode) => {
      // The last messages of the guest may still be in the port.
      for (let last = receiveMessageOnPort(port1); last !== undefined; last = receiveMessageOnPort(port1)) {
        events.message(last.message)
      }
      port1.close()
      moduleChannel.port1.close()
      gone = true
      const death: Death = { reason: reason ?? "it ended without an answer", exitCode }
      events.died(death)
      for (const tell of onGone) tell()
    })

    const kill = Effect.callback<boolean>((resume) => {
      if (gone) return resume(Effect.succeed(true))
      onGone.push(() => resume(Effect.succeed(true)))
      if (isEnding) return
      isEnding = true
      // Its promise settles with the exit event, handled above. Call it once: each call adds a listener.
      void worker.terminate()
    }).pipe(
      // Finalizers run uninterruptibly, and the wait must end there too.
      Effect.interruptible,
      timeoutAwake(deathWait, () =>
        Effect.sync(() => {
          worker.unref()
          return false
        })
      )
    )

    return {
      send: (text, texts) =>
        port1.postMessage(texts === undefined ? text : ({ text, texts } satisfies Posted)),
      load: (text, modules) => {
        port1.postMessage(text)
        if (modules !== undefined) serveGuest(moduleChannel.port1, flag, modules, events.broken)
      },
      hold: (held) => (held && !gone ? worker.ref() : worker.unref()),
      kill,
      usage: async () => {
        const [heap, cpu] = await Promise.all([worker.getHeapStatistics(), worker.cpuUsage?.()])
        return {
          memory: heap.used_heap_size + heap.malloced_memory + (buffers ? heap.external_memory : 0),
          cpu: cpu === undefined ? undefined : (cpu.user + cpu.system) / 1000,
          accounted: heap.total_heap_size + heap.malloced_memory + heap.external_memory,
          hasMore: !buffers
        }
      }
    }
  }
