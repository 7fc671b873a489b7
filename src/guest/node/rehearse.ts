/**
 * Goes once through a load and a run, with a plugin of the guest's own: a spare has compiled by then all that a
 * plugin's own load and run take, which is most of their time in a thread or process that has just booted.
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
 * To be called before any plugin comes. Nothing of it goes out or is kept, and it is over before the event loop
 * turns: it goes by promises alone, and leaves no handle that a plugin's run could be compared with.
 */
export const rehearse = (): void => {
  let handle: (text: string) => void = nothing
  const texts = [encodeLoad(noTag, JSON.stringify(request)), encodeRun(noTag, undefined, '{"message":{}}')]
  serve({
    line: {
      post: () => {
        const next = texts.shift()
        // Not within the call that brought it here: no host's text comes so.
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
    whenIdle: () => nothing,
    activeResources,
    countsGlobals: () => true
  })
}
