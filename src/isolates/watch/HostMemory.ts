/**
 * Memory of the host's process that no engine accounts for, and which plugin took it. The figures of a thread leave out
 * its native objects (formatters, decoders, shared buffers). Only the figures of the whole process include them.
 *
 * *Unseen growth* is how much the process has grown since a thread began its work, less the highest total that all
 * engines accounted for meanwhile. Plugins are not its only cause: the database's cache grows, threads boot, and freed
 * memory is kept. So a plugin is blamed only for much more than its limit, and only if no other plugin may have done it.
 */

/** MiB of unseen growth over a plugin's limit that may have other causes. */
const slack = 256

/** Bytes that a thread takes in addition to what its engine accounts for. */
const threadItself = 16 * 1024 * 1024

/** The share of the suspects' processor time that makes one of them guilty. */
const mostOf = 2 / 3

const mebibyte = 1024 * 1024

export interface Member {
  /** MiB. */
  readonly limit: number
  /** Milliseconds of processor time that it has used since it began its work. */
  readonly cpu: number
}

export interface Figures {
  /** Resident bytes of the process. */
  readonly resident: number
  /** Bytes that the host's own engine accounts for. */
  readonly own: number
}

interface Window {
  readonly resident: number
  readonly accounted: number
  highest: number
  unseen: number
  /** Whether no other thread has worked meanwhile. */
  alone: boolean
}

/** The isolate that took the memory, and how much, in MiB. */
export interface Blame<Isolate> {
  readonly isolate: Isolate
  readonly unseen: number
}

export class HostMemory<Isolate extends object> {
  /** Bytes that the engine of each living thread accounts for. */
  readonly #accounts = new Map<Isolate, number>()
  readonly #windows = new Map<Isolate, Window>()
  /** Unseen growth that a thread has kept from one run to the next. */
  readonly #kept = new WeakMap<Isolate, number>()

  /** Records what an isolate's engine accounts for. */
  account(isolate: Isolate, bytes: number): void {
    this.#accounts.set(isolate, bytes)
  }

  /** The isolate that caused too much unseen growth; `undefined` if there is none, or several may have caused it. */
  look(
    { resident, own }: Figures,
    busy: ReadonlyMap<Isolate, Member>,
    isGone: (isolate: Isolate) => boolean
  ): Blame<Isolate> | undefined {
    let accounted = own
    for (const [isolate, bytes] of this.#accounts) {
      if (isGone(isolate)) this.#accounts.delete(isolate)
      else accounted += bytes + threadItself
    }
    for (const [isolate, { alone, unseen }] of this.#windows) {
      if (busy.has(isolate)) continue
      if (alone) this.#kept.set(isolate, Math.max(0, unseen))
      this.#windows.delete(isolate)
    }
    const suspects: Array<readonly [Isolate, Member, number]> = []
    for (const [isolate, member] of busy) {
      const window = this.#windows.get(isolate) ?? {
        resident: resident - (this.#kept.get(isolate) ?? 0),
        accounted,
        highest: accounted,
        unseen: 0,
        alone: true
      }
      this.#windows.set(isolate, window)
      window.alone &&= busy.size === 1
      window.highest = Math.max(window.highest, accounted)
      window.unseen = resident - window.resident - (window.highest - window.accounted)
      if (window.unseen > (member.limit + slack) * mebibyte) suspects.push([isolate, member, window.unseen])
    }
    return this.#guilty(suspects)
  }

  #guilty(suspects: ReadonlyArray<readonly [Isolate, Member, number]>): Blame<Isolate> | undefined {
    let [first, ...others] = suspects
    if (first === undefined) return undefined
    let total = first[1].cpu
    for (const suspect of others) {
      total += suspect[1].cpu
      if (suspect[1].cpu > first[1].cpu) first = suspect
    }
    const [isolate, { limit, cpu }, unseen] = first
    // Several may have caused it. If the host is short of memory, blame the busiest.
    const needs = unseen > 2 * (limit + slack) * mebibyte
    if (others.length > 0 && cpu < mostOf * total && !needs) return undefined
    return { isolate, unseen: Math.round(unseen / mebibyte) }
  }
}
