/**
 * Memory of the host's process that no engine accounts for, and whose it is. Native objects of a thread (formatters,
 * decoders, shared buffers) are in no figure that a host can ask a thread for; they are in the process's own.
 *
 * What the process has grown by since a thread began its work, less what all engines in it account for at their
 * highest meanwhile, is unseen growth. It has many causes beside plugins (the database's cache, threads that boot,
 * memory that was freed and is kept), so that a plugin is blamed for far more than its limit only, and for nothing
 * that another plugin may have done.
 */

/** MiB of unseen growth beyond a plugin's own limit that are put down to something else. */
const slack = 256

/** Bytes of a thread beside what its engine accounts for. */
const threadItself = 16 * 1024 * 1024

/** Of the processor time of all that may have done it, the share that tells who has. */
const mostOf = 2 / 3

const mebibyte = 1024 * 1024

export interface Member {
  /** MiB. */
  readonly limit: number
  /** Milliseconds of processor time since it began its work. */
  readonly cpu: number
}

export interface Figures {
  /** Bytes of the process. */
  readonly resident: number
  /** Bytes that the host's own engine accounts for. */
  readonly own: number
}

interface Window {
  readonly resident: number
  readonly accounted: number
  highest: number
  unseen: number
  /** Whether no other thread has worked since. */
  alone: boolean
}

/** MiB, and whose they are. */
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

  /** Takes note of what an isolate's engine accounts for. */
  account(isolate: Isolate, bytes: number): void {
    this.#accounts.set(isolate, bytes)
  }

  /** Whose growth is over its limit and all that may have other causes, if that can be told of one. */
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
    // No one explanation, and the host is in need: the busiest it is.
    const needs = unseen > 2 * (limit + slack) * mebibyte
    if (others.length > 0 && cpu < mostOf * total && !needs) return undefined
    return { isolate, unseen: Math.round(unseen / mebibyte) }
  }
}
