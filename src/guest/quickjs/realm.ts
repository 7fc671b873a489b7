/**
 * The first code inside QuickJS: sets up the plugin's globals, then serves requests to load and run it. The thread
 * around QuickJS handles time limits, memory and modules.
 */
import "./globals.ts"
import { defineGlobals } from "../shared/defineGlobals.ts"
import { describeReason } from "../shared/describe.ts"
import { Headers } from "../fetch/headers.ts"
import { makeFetch } from "../fetch/makeFetch.ts"
import { Request, Response } from "../fetch/RequestResponse.ts"
import { serve } from "../shared/serve.ts"
import { makeSideMessages } from "../shared/sideMessages.ts"
import { evaluate, exportsOf } from "./commonjs.ts"
import { makeConsole } from "./console.ts"
import { host, Idle } from "./host.ts"
import { makeProcess } from "./process.ts"
import { fromBase64, toBase64 } from "./textCoding.ts"
import { tick } from "./timers.ts"

/** For the ES modules that re-export CommonJS modules. */
export { exportsOf }

const messages = makeSideMessages(host.post)
const logs = makeConsole(messages.log)
const { process, begin } = makeProcess(logs, (what) => messages.audit({ capability: "env", what }))
const net = makeFetch({ send: messages.net, toBase64, fromBase64 })
defineGlobals({ console: logs.console, fetch: net.fetch, Headers, Request, Response, process })

let handle: (text: string) => void = () => {}

/**
 * Adds the place of a syntax error to its message. QuickJS gives it in the stack only, which the reason for a
 * failed load leaves out.
 */
const placed = (error: unknown): unknown => {
  if (!(error instanceof SyntaxError) || typeof error.stack !== "string") return error
  const place = /^\s*at (file:\S+:\d+:\d+)\n?$/.exec(error.stack)?.[1]
  return place === undefined ? error : new SyntaxError(`${error.message} (${place})`)
}

host.serve((text) => {
  try {
    if (text !== undefined) {
      handle(text)
      return 0
    }
    const next = tick()
    return next === Idle.stuck && net.active() > 0 ? Idle.fetching : next
  } catch (error) {
    messages.crashed(`uncaught ${describeReason(error)}`)
    return Idle.stuck
  }
}, evaluate)

serve({
  line: {
    post: host.post,
    listen: (handler) => {
      handle = handler
    },
    modules: () => undefined
  },
  logs,
  log: logs.console,
  net,
  setTag: messages.setTag,
  begin,
  importPlugin: async (entry) => {
    try {
      return await import(entry)
    } catch (error) {
      throw placed(error)
    }
  },
  // A run leaves nothing behind, because the memory is restored after it.
  activeResources: () => 0,
  countsGlobals: () => false
})
