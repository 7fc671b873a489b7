/** The globals of a plugin beside ECMAScript's. Imported before all that captures any. */
import { clearTimeout, setImmediate, setInterval, setTimeout } from "./timers.ts"
import { AbortController, AbortSignal, CustomEvent, Event, EventTarget } from "./events.ts"
import { structuredClone } from "./clone.ts"
import { host } from "./host.ts"
import { atob, btoa, TextDecoder, TextEncoder } from "./textCoding.ts"
import { URLSearchParams } from "./searchParams.ts"
import { URL } from "./url.ts"

/** As the engine's own globals are: not enumerable, and the plugin's to change. */
export const define = (globals: { readonly [name: string]: unknown }): void => {
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true })
  }
}

const getRandomValues = (view: unknown): unknown => {
  if (!ArrayBuffer.isView(view) || view instanceof DataView || view instanceof Float64Array) {
    throw new TypeError("crypto.getRandomValues takes a typed array of integers")
  }
  if (view.byteLength > 65_536) {
    throw new DOMException("crypto.getRandomValues fills 65536 bytes at most", "QuotaExceededError")
  }
  const random = new Uint8Array(host.randomBytes(view.byteLength))
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(random)
  return view
}

define({
  AbortController,
  AbortSignal,
  CustomEvent,
  Event,
  EventTarget,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  atob,
  btoa,
  clearImmediate: clearTimeout,
  clearInterval: clearTimeout,
  clearTimeout,
  crypto: { getRandomValues, randomUUID: host.randomUUID },
  global: globalThis,
  // The engine's own counts from when its memory was set up, which may be long ago.
  performance: { now: host.now, timeOrigin: Date.now() - host.now() },
  setImmediate,
  setInterval,
  setTimeout,
  structuredClone
})

// QuickJS makes template literals with it, those of the guest's own code too.
Reflect.defineProperty(String.prototype, "concat", { writable: false, configurable: false })

// QuickJS would hand it the functions on the stack, those of the guest's own code too. Setting it does nothing:
// packages do, and go on.
Reflect.defineProperty(Error, "prepareStackTrace", {
  get: () => undefined,
  set: () => {},
  configurable: false
})

// The engine's own would begin every run with the same number: its state is part of what is put back.
Math.random = host.random
