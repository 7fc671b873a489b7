/** The Web's events, limited to what `AbortSignal` and plugins' own `EventTarget`s need. */
import { setTimeout } from "./timers.ts"

let isStopped: (event: Event) => boolean

export class Event {
  readonly type: string
  readonly bubbles = false
  readonly cancelable: boolean
  readonly timeStamp = performance.now()
  readonly detail: unknown
  target: EventTarget | null = null
  currentTarget: EventTarget | null = null
  defaultPrevented = false
  /** Whether `stopImmediatePropagation` was called: later listeners are skipped. */
  #stopped = false

  constructor(type: unknown, init: { readonly cancelable?: boolean; readonly detail?: unknown } = {}) {
    this.type = `${type}`
    this.cancelable = init.cancelable === true
    this.detail = init.detail
  }

  static {
    isStopped = (event) => event.#stopped
  }

  preventDefault(): void {
    if (this.cancelable) this.defaultPrevented = true
  }

  stopPropagation(): void {}

  stopImmediatePropagation(): void {
    this.#stopped = true
  }
}

export class CustomEvent extends Event {}

type Listener = ((event: Event) => unknown) | { readonly handleEvent: (event: Event) => unknown }

interface Registered {
  readonly type: string
  readonly listener: Listener
  readonly once: boolean
}

interface ListenerOptions {
  readonly once?: boolean
  readonly signal?: AbortSignal
}

export class EventTarget {
  #listeners: ReadonlyArray<Registered> = []

  addEventListener(type: unknown, listener: Listener | null, options?: ListenerOptions | boolean): void {
    if (listener === null || listener === undefined) return
    const { once = false, signal } = typeof options === "object" ? options : {}
    if (signal?.aborted === true) return
    const known = this.#listeners.some((one) => one.type === type && one.listener === listener)
    if (known) return
    this.#listeners = [...this.#listeners, { type: `${type}`, listener, once }]
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener))
  }

  removeEventListener(type: unknown, listener: Listener | null): void {
    this.#listeners = this.#listeners.filter((one) => one.type !== type || one.listener !== listener)
  }

  dispatchEvent(event: Event): boolean {
    event.target = event.currentTarget = this
    for (const { type, listener, once } of this.#listeners) {
      if (type !== event.type || isStopped(event)) continue
      if (once) this.removeEventListener(type, listener)
      try {
        if (typeof listener === "function") Reflect.apply(listener, this, [event])
        else listener.handleEvent(event)
      } catch (error) {
        // As on the Web, an error of one listener reaches neither the other listeners nor the dispatcher.
        setTimeout(() => {
          throw error
        })
      }
    }
    event.currentTarget = null
    return !event.defaultPrevented
  }
}

/** Only this module can construct signals. */
const key = Symbol("AbortSignal")
let abort: (signal: AbortSignal, reason: unknown) => void

export class AbortSignal extends EventTarget {
  #aborted = false
  #reason: unknown
  onabort: ((event: Event) => unknown) | null = null

  constructor(given?: symbol) {
    if (given !== key) throw new TypeError("Illegal constructor")
    super()
  }

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason
  }

  static {
    abort = (signal, reason) => {
      if (signal.#aborted) return
      signal.#aborted = true
      signal.#reason =
        reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason
      if (typeof signal.onabort === "function") {
        signal.addEventListener("abort", signal.onabort, { once: true })
      }
      signal.dispatchEvent(new Event("abort"))
    }
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(key)
    abort(signal, reason)
    return signal
  }

  static timeout(millis: number): AbortSignal {
    const signal = new AbortSignal(key)
    setTimeout(() => {
      const error = new DOMException("The operation was aborted due to timeout", "TimeoutError")
      abort(signal, error)
    }, millis)
    return signal
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const all = [...signals]
    const signal = new AbortSignal(key)
    const first = all.find(({ aborted }) => aborted)
    if (first !== undefined) abort(signal, first.reason)
    else {
      for (const one of all) {
        one.addEventListener("abort", () => abort(signal, one.reason), { once: true })
      }
    }
    return signal
  }
}

export class AbortController {
  readonly signal: AbortSignal = new AbortSignal(key)

  abort(reason?: unknown): void {
    abort(this.signal, reason)
  }
}
