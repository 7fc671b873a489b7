/** Timers. The thread only knows when to call again; what is due, and all that is waiting, is kept in here. */
import { apply } from "../shared/intrinsics.ts"
import { host, Idle } from "./host.ts"

type Callback = (...args: ReadonlyArray<unknown>) => unknown

interface Waiting {
  readonly id: number
  readonly callback: Callback
  readonly args: ReadonlyArray<unknown>
  /** Between calls, of an interval. */
  readonly every: number | undefined
  due: number
  next: Waiting | undefined
  cancelled: boolean
}

/** Sorted by when they are due; most are added at the end. */
let first: Waiting | undefined
let last: Waiting | undefined
let lastId = 0
/** Without a prototype that a plugin could patch. */
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

/** What a timer's number of milliseconds means. */
const delayOf = (delay: unknown): number => {
  const millis = +`${delay}`
  return millis >= 1 && millis <= 2_147_483_647 ? millis : 1
}

let idOf: (timer: unknown) => number

/** As Node's, which has methods; as the Web's, a number. */
class Timeout {
  readonly #id: number

  constructor(id: number) {
    this.#id = id
  }

  static {
    idOf = (timer) => (typeof timer === "object" && timer !== null && #id in timer ? timer.#id : +`${timer}`)
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
  if (timer === undefined || timer === null) return
  const id = idOf(timer)
  const found = byId[id]
  if (found === undefined) return
  found.cancelled = true
  delete byId[id]
}

/** Calls the timer that is due, if one is; answers how to go on, as `Turn` does. */
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
  timer.callback(...timer.args)
  return 0
}
