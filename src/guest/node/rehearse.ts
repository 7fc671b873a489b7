/**
 * Loads and runs the guest's own test plugin once, so that a spare has already compiled the code for loads and
 * runs. Compiling is most of their time in a newly booted thread or process.
 */
import { encodeLoad, encodeRun, noTag } from "../../wire/codec.ts"
import type { LoadRequest } from "../../wire/messages.ts"
import { serve } from "../shared/serve.ts"
import { activeResources } from "./intrinsics.ts"
import { rehearsal } from "./moduleHooks.ts"

const nothing = (): void => {}

const request: LoadRequest = {
  entry: rehearsal,
  method: "enrich",
  otherMethods: [],
  name: "rehearsal",
  config: {},
  env: {},
  limits: { outputLength: 100, logLines: 0, logLength: 0, memory: 0, deadline: 0 }
}

/**
 * Call this before any plugin is loaded. It sends nothing and keeps nothing. It ends before the event loop turns:
 * it waits only for promises, and clears the timer of its load. It leaves no handle that would count as the plugin's.
 */
export const rehearse = (): void => {
  let handle: (text: string) => void = nothing
  const texts = [encodeLoad(noTag, JSON.stringify(request)), encodeRun(noTag, undefined, '{"message":{}}')]
  serve({
    line: {
      post: () => {
        const next = texts.shift()
        // In a microtask and not within the call, because messages of a host do not arrive within `post` either.
        if (next !== undefined) queueMicrotask(() => handle(next))
      },
      listen: (handler) => {
        handle = handler
      },
      modules: () => undefined
    },
    logs: { begin: nothing, end: nothing },
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    net: { fetch: nothing, receive: nothing, reset: nothing, active: () => 0 },
    setTag: nothing,
    begin: nothing,
    importPlugin: (entry) => import(entry),
    activeResources,
    countsGlobals: () => true
  })
}
