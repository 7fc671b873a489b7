/** The plugin's globals beyond ECMAScript. Import this before any module that captures globals. */
import { defineGlobals } from "../shared/defineGlobals.ts"
import { startsWith, typeNameOf } from "../shared/intrinsics.ts"
import { clearTimeout, setImmediate, setInterval, setTimeout } from "./timers.ts"
import { AbortController, AbortSignal, CustomEvent, Event, EventTarget } from "./events.ts"
import { structuredClone } from "./clone.ts"
import { host } from "./host.ts"
import { atob, btoa, TextDecoder, TextEncoder } from "./textCoding.ts"
import { URLSearchParams } from "./searchParams.ts"
import { URL } from "./url.ts"

const getRandomValues = (view: ArrayBufferView): ArrayBufferView => {
  const type = typeNameOf(view)
  if (type === undefined || startsWith(type, "Float")) {
    throw new DOMException("crypto.getRandomValues takes a typed array of integers", "TypeMismatchError")
  }
  if (view.byteLength > 65_536) {
    throw new DOMException("crypto.getRandomValues fills 65536 bytes at most", "QuotaExceededError")
  }
  const random = new Uint8Array(host.randomBytes(view.byteLength))
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(random)
  return view
}

defineGlobals({
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
  // Replaced, because the engine's own clock starts when its memory was set up, which may be long ago.
  performance: { now: host.now, timeOrigin: Date.now() - host.now() },
  setImmediate,
  setInterval,
  setTimeout,
  structuredClone
})

// QuickJS evaluates template literals with `concat`, in the guest's own code too: a plugin must not replace it.
Reflect.defineProperty(String.prototype, "concat", { writable: false, configurable: false })

// QuickJS would call a plugin's `prepareStackTrace` with the functions on the stack, the guest's own included. The
// setter ignores the value and does not throw, because some packages set it.
Reflect.defineProperty(Error, "prepareStackTrace", {
  get: () => undefined,
  set: () => {},
  configurable: false
})

// The engine's own generator is part of the restored memory, so every run would start with the same number.
Math.random = host.random
