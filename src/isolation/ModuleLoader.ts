/** The host's end of its module loader thread. */
import { Context, Deferred, Effect, Layer } from "effect"
import * as fs from "node:fs"
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads"
import type { ModuleChannel } from "../guest/protocol.ts"
import { loaderFlags } from "./loaderFlags.ts"

export type LoaderMessage =
  | {
      readonly type: "serve"
      readonly guest: number
      readonly entry: string
      readonly port: MessagePort
      readonly flag: SharedArrayBuffer
      /** Answers as frames of bytes, ready for a process's descriptor. */
      readonly framed: boolean
      readonly integrity?: string
    }
  | { readonly type: LoaderQuestion; readonly id: number; readonly guest: number }

/** What is asked of a guest's modules, and what of that is to be remembered. */
export type LoaderQuestion = "changed" | "loaded" | "failed"

export type LoaderReply =
  | { readonly type: "ready" }
  | { readonly type: "answer"; readonly id: number; readonly answer: boolean }

/** One guest's line to the loader. */
export interface GuestModules {
  /** Sent to the guest, its port transferred. */
  readonly channel: ModuleChannel
  /** Whether a file that the guest has loaded is other than it was then. */
  readonly changed: Effect.Effect<boolean>
  /** To be told that it has loaded: its version is kept. Answers whether that is an earlier one than the files'. */
  readonly loaded: Effect.Effect<boolean>
  /** To be told that it has not. Answers whether another guest would get an earlier version. */
  readonly failed: Effect.Effect<boolean>
}

const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"

/** What a loader says that is on its way out with its runtime; no fault of any plugin's modules. */
export const runtimeClosed = "the runtime was closed"

/** Serves modules to guests. */
export class ModuleLoader extends Context.Service<
  ModuleLoader,
  {
    /** Opens a line for a guest whose plugin is at `entry`; a missing entry is the failure, as a text. */
    readonly open: (
      entry: string,
      options: { readonly framed: boolean; readonly integrity?: string }
    ) => Effect.Effect<GuestModules, string>
  }
>()("@agentlip/plugin-runtime/isolation/ModuleLoader") {
  static readonly layer = Layer.effect(
    ModuleLoader,
    Effect.suspend(() => make)
  )
}

/** All that a loader gets of the host's environment: where Node keeps what it has compiled, if it does. */
const compileCache = (): { readonly NODE_COMPILE_CACHE?: string } => {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
}

const startThread = (): Worker => {
  const worker = new Worker(new URL(`./loaderThread.${extension}`, import.meta.url), {
    name: "agentlip-module-loader",
    execArgv: loaderFlags(),
    env: compileCache()
  })
  // Waiting guests hold the host, the loader never does.
  worker.unref()
  return worker
}

const make = Effect.gen(function* () {
  const asked = new Map<number, { readonly reply: Deferred.Deferred<boolean>; readonly ifGone: boolean }>()
  let guests = 0
  let requests = 0
  let current: Worker | undefined
  let closed = false
  const ready = Deferred.makeUnsafe<void>()

  const thread = (): Worker => {
    if (current !== undefined) return current
    const worker = startThread()
    worker.on("message", (reply: LoaderReply) => {
      if (reply.type === "ready") return Deferred.doneUnsafe(ready, Effect.void)
      const waiting = asked.get(reply.id)
      return waiting !== undefined && Deferred.doneUnsafe(waiting.reply, Effect.succeed(reply.answer))
    })
    // Guests of a loader that died find their line closed and run into their deadline; the next guest gets a new one.
    worker.on("error", () => (current = undefined))
    worker.on("exit", () => {
      if (current === worker) current = undefined
      Deferred.doneUnsafe(ready, Effect.void)
      for (const { reply, ifGone } of asked.values()) Deferred.doneUnsafe(reply, Effect.succeed(ifGone))
    })
    return (current = worker)
  }
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      closed = true
      await current?.terminate()
    })
  )
  // The layer is up when its loader is: no plugin's deadline is to pay for that.
  thread().ref()
  yield* Deferred.await(ready)
  thread().unref()

  /** `ifGone` is the answer of a loader that there is no more. */
  const ask = (type: LoaderQuestion, guest: number, ifGone: boolean): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (closed) return Effect.succeed(ifGone)
      const id = requests++
      const reply = Deferred.makeUnsafe<boolean>()
      asked.set(id, { reply, ifGone })
      // Whoever waits for this answer must not find the process gone.
      thread().ref()
      thread().postMessage({ type, id, guest } satisfies LoaderMessage)
      return Effect.ensuring(
        Deferred.await(reply),
        Effect.sync(() => {
          asked.delete(id)
          if (asked.size === 0) current?.unref()
        })
      )
    })

  // Made ahead: of all that a line takes, this takes longest.
  let next: MessageChannel | undefined = new MessageChannel()
  const takeChannel = (): MessageChannel => {
    const taken = next ?? new MessageChannel()
    if (next !== undefined) setImmediate(() => (next = new MessageChannel())).unref()
    next = undefined
    return taken
  }

  return ModuleLoader.of({
    open: (entry, options) =>
      Effect.suspend(() => {
        // A late caller must not start a thread that nobody would end.
        if (closed) return Effect.fail(runtimeClosed)
        if (!fs.existsSync(entry)) return Effect.fail("there is no such file; correct the modulePath")
        const guest = guests++
        const { port1, port2 } = takeChannel()
        const flag = new SharedArrayBuffer(4)
        thread().postMessage(
          { type: "serve", guest, entry, port: port1, flag, ...options } satisfies LoaderMessage,
          [port1]
        )
        return Effect.succeed({
          channel: { port: port2, flag },
          changed: ask("changed", guest, true),
          loaded: ask("loaded", guest, false),
          failed: ask("failed", guest, false)
        })
      })
  })
})
