/**
 * Turns a thread or process of Node into a guest: hardens it, then waits for a plugin to load. A booted guest
 * without a plugin is a *spare*.
 */
import realProcess from "node:process"
import { describeReason, quote } from "../shared/describe.ts"
import { encodeReply, noTag } from "../../wire/codec.ts"
import { type HostLine, ReplyType } from "../../wire/messages.ts"
import { serve } from "../shared/serve.ts"
import { queueRequests } from "../shared/requestQueue.ts"
import { makeAudit } from "./audit.ts"
import { makeConsole } from "./console.ts"
import { makeFacades } from "./facades.ts"
import { harden } from "./harden.ts"
import { activeResources, endNow, later, whenIdle } from "./intrinsics.ts"
import { type InstalledHooks, installModuleHooks } from "./moduleHooks.ts"
import { makeNodeFetch } from "./nodeFetch.ts"

/** Starts to serve the line. `confined` is false only if plugins are trusted (Bun). */
export const start = (host: HostLine, confined: boolean): void => {
  const line = queueRequests(host, later)
  let tag = noTag
  const guestConsole = makeConsole((level, text) =>
    line.post(encodeReply(ReplyType.log, tag, `{"level":"${level}","text":${quote(text)}}`))
  )
  const net = makeNodeFetch((json) => line.post(encodeReply(ReplyType.net, tag, json)))
  const audit = makeAudit(({ capability, what }) =>
    line.post(encodeReply(ReplyType.audit, tag, `{"capability":"${capability}","what":${quote(what)}}`))
  )

  // Reported here with a limited length. Node would clone an error of any size into the host.
  const crash = (what: string) => (error: unknown) => {
    line.post(encodeReply(ReplyType.crashed, noTag, quote(`${what} ${describeReason(error)}`)))
    endNow(1)
  }
  realProcess.on("uncaughtException", crash("uncaught"))
  realProcess.on("unhandledRejection", crash("unhandled rejection:"))

  let setEnv = (values: { readonly [name: string]: string }): void => {
    Object.assign(realProcess.env, values)
  }
  let placeSyntaxError: InstalledHooks["placeSyntaxError"] = () => {}
  if (confined) {
    const facades = makeFacades(guestConsole, audit)
    setEnv = facades.setEnv
    placeSyntaxError = installModuleHooks(facades.modules, line.modules).placeSyntaxError
    harden(guestConsole, facades.modules, net)
  }

  serve({
    line,
    logs: guestConsole,
    log: guestConsole.console,
    net,
    setTag: (next) => {
      tag = next
    },
    begin: (request) => {
      setEnv(request.env)
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
    whenIdle,
    activeResources: () => activeResources() - line.turns(),
    // While runs follow each other without a pause, only one in several finds no turn pending and counts the
    // globals.
    countsGlobals: () => line.turns() === 0
  })
}
