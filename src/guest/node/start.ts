/**
 * Turns a thread or process of Node into a guest: hardens it, then waits for a plugin to load. A booted guest
 * without a plugin is a *spare*.
 */
import realProcess from "node:process"
import { describeReason } from "../shared/describe.ts"
import type { HostLine } from "../../wire/messages.ts"
import { makeFetch } from "../fetch/makeFetch.ts"
import { serve } from "../shared/serve.ts"
import { makeSideMessages } from "../shared/sideMessages.ts"
import { queueRequests } from "../shared/requestQueue.ts"
import { makeAudit } from "./audit.ts"
import { makeConsole } from "./console.ts"
import { makeFacades } from "./facades.ts"
import { harden } from "./harden.ts"
import { prototypeOf } from "../shared/intrinsics.ts"
import {
  activeResources,
  endNow,
  fromBase64,
  isNativeError,
  later,
  residentMemory,
  toBase64
} from "./intrinsics.ts"
import { type PlaceSyntaxError, installModuleHooks } from "./moduleHooks.ts"

const mebibyte = 1024 * 1024
const { prototype: rangeErrorPrototype } = RangeError

interface StartOptions {
  /** False only if plugins are trusted (Bun). */
  readonly confined: boolean
  /** Whether the process has no other isolate. */
  readonly ownProcess: boolean
}

/** Starts to serve the line. */
export const start = (host: HostLine, { confined, ownProcess }: StartOptions): void => {
  const line = queueRequests(host, later)
  const messages = makeSideMessages(line.post)
  const guestConsole = makeConsole(messages.log)
  const net = makeFetch({ send: messages.net, toBase64, fromBase64 })
  const audit = makeAudit(messages.audit)

  // Reported here with a limited length. Node would clone an error of any size into the host.
  const crash = (reason: string): void => {
    messages.crashed(reason)
    endNow(1)
  }
  realProcess.on("uncaughtException", (error) => crash(`uncaught ${describeReason(error)}`))
  realProcess.on("unhandledRejection", (error) => crash(`unhandled rejection: ${describeReason(error)}`))

  /** In bytes: the memory when the load began, and how much more the plugin may take. */
  const memory = { before: 0, limit: 0 }
  /** Memory that the operating system refuses is a `RangeError`. */
  const checkMemory = (thrown: unknown): void => {
    // Runs no code of the plugin, as `instanceof` does on a proxy.
    if (!isNativeError(thrown) || prototypeOf(thrown) !== rangeErrorPrototype) return
    const used = residentMemory() - memory.before
    if (used <= memory.limit) return
    const mebibytes = (bytes: number): number => Math.round(bytes / mebibyte)
    crash(
      `it used ${mebibytes(used)} MiB of memory, its limit is ${mebibytes(memory.limit)} MiB (limits.memory)`
    )
  }

  let setEnv = (values: { readonly [name: string]: string }): void => {
    Object.assign(realProcess.env, values)
  }
  let placeSyntaxError: PlaceSyntaxError = () => {}
  if (confined) {
    const facades = makeFacades(guestConsole, audit)
    setEnv = facades.setEnv
    placeSyntaxError = installModuleHooks(facades.modules, line.modules)
    harden(guestConsole, facades.modules, net)
  }

  serve({
    line,
    logs: guestConsole,
    log: guestConsole.console,
    net,
    setTag: messages.setTag,
    begin: (request) => {
      setEnv(request.env)
      if (ownProcess) {
        memory.before = residentMemory()
        memory.limit = request.limits.memory * mebibyte
      }
      if (request.audit !== undefined) audit.begin(request.audit)
    },
    importPlugin: async (entry) => {
      try {
        return await import(entry)
      } catch (error) {
        placeSyntaxError(error)
        throw error
      }
    },
    ...(ownProcess ? { checkMemory } : {}),
    activeResources: () => activeResources() - line.turns(),
    // While runs follow each other without a pause, only one in several finds no turn pending and counts the
    // globals.
    countsGlobals: () => line.turns() === 0
  })
}
