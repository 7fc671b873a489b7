/** Timers. They are all kept inside QuickJS; the thread only knows when to call again. */
import { apply, isObject } from "../shared/intrinsics.ts"
import { host, Idle } from "./host.ts"

type Callback = (...args: ReadonlyArray<unknown>) => unknown

interface Waiting {
  readonly id: number
  readonly callback: Callback
  readonly args: ReadonlyArray<unknown>
  /** The interval in milliseconds; `undefined` for a timeout. */
  readonly every: number | undefined
  due: number
  next: Waiting | undefined
  cancelled: boolean
}

/** A list sorted by due time. Most timers are added at the end. */
let first: Waiting | undefined
let last: Waiting | undefined
let lastId = 0
/** The map has no prototype that a plugin could patch. */
const byId: { [id: number]: Waiting } = Object.create(null)

const add = (timer: Waiting): void => {
  timer.next = undefined
  if (last === undefined || last.due <= timer.due) {
    if (last === undefined) first = timer
    else last.next = timer
    last = timer
    return
  }
  let before: Waiting | undefined
  let after = first
  while (after !== undefined && after.due <= timer.due) {
    before = after
    after = after.next
  }
  timer.next = after
  if (before === undefined) first = timer
  else before.next = timer
}

const takeFirst = (): Waiting | undefined => {
  first = first?.next
  if (first === undefined) last = undefined
  return first
}

/** The delay that a timer's argument stands for, in milliseconds. */
const delayOf = (delay: unknown): number => {
  const millis = +`${delay}`
  return millis >= 1 && millis <= 2_147_483_647 ? millis : 1
}

/** The id of a timer, or of what converts to a number. Runs no method of a timer: plugins can replace those. */
let idOf: (timer: unknown) => number

/** An object with methods, as in Node, that converts to a number, as on the Web. */
class Timeout {
  readonly #id: number

  constructor(id: number) {
    this.#id = id
  }

  static {
    idOf = (timer) => (isObject(timer) && #id in timer ? timer.#id : +`${timer}`)
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  [Symbol.toPrimitive](): number {
    return this.#id
  }
}

const start = (callback: unknown, delay: number, args: ReadonlyArray<unknown>, repeats: boolean): Timeout => {
  if (typeof callback !== "function") throw new TypeError("the callback of a timer must be a function")
  const id = ++lastId
  const timer: Waiting = {
    id,
    callback: (...values) => apply(callback, undefined, values),
    args,
    every: repeats ? delay : undefined,
    due: host.now() + delay,
    next: undefined,
    cancelled: false
  }
  byId[id] = timer
  add(timer)
  return new Timeout(id)
}

export const setTimeout = (callback: unknown, delay?: unknown, ...args: ReadonlyArray<unknown>): Timeout =>
  start(callback, delayOf(delay), args, false)

export const setInterval = (callback: unknown, delay?: unknown, ...args: ReadonlyArray<unknown>): Timeout =>
  start(callback, delayOf(delay), args, true)

export const setImmediate = (callback: unknown, ...args: ReadonlyArray<unknown>): Timeout =>
  start(callback, 0, args, false)

export const clearTimeout = (timer?: unknown): void => {
  const id = idOf(timer)
  const found = byId[id]
  if (found === undefined) return
  found.cancelled = true
  delete byId[id]
}

/** Runs the first timer if it is due. Returns how to go on, as `Turn` does. */
export const tick = (): number => {
  let timer = first
  while (timer?.cancelled === true) timer = takeFirst()
  if (timer === undefined) return Idle.stuck
  const now = host.now()
  if (timer.due > now) return timer.due - now
  takeFirst()
  if (timer.every === undefined) delete byId[timer.id]
  else {
    timer.due = now + timer.every
    add(timer)
  }
  // Not a spread: it would run an iterator that a plugin can patch.
  apply(timer.callback, undefined, timer.args)
  return 0
}
