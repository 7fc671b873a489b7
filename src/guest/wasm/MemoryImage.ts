/**
 * What an instance's memory holds at one moment, to be put back later: a run starts from what the load left, and
 * nothing of it is there for the next. Valid between calls into the instance only, when its stack is empty.
 */
import type { Memory } from "./webAssembly.ts"

const page = 64 * 1024
const zeros = Buffer.alloc(page)

/** A stretch of memory, in pages. */
interface Stretch {
  readonly from: number
  readonly to: number
}

const isZero = (bytes: Buffer, at: number): boolean =>
  bytes.compare(zeros, 0, page, at * page, (at + 1) * page) === 0

/** Kept and put back although it is zero: static variables beside the stack that have not been used yet. */
const margin = (1024 * 1024) / page

/** The empty stack: the longest stretch of zeros below the heap. It is megabytes long, and nobody reads it. */
const emptyStack = (bytes: Buffer, heap: number): Stretch => {
  let longest: Stretch = { from: 0, to: 0 }
  for (let from = 0; from < heap; ) {
    let to = from
    while (to < heap && isZero(bytes, to)) to++
    if (to - from > longest.to - longest.from) longest = { from, to }
    from = to + 1
  }
  const from = longest.from + margin
  return from < longest.to ? { from, to: longest.to } : { from: 0, to: 0 }
}

interface Part {
  readonly at: number
  readonly bytes: Uint8Array
}

export class MemoryImage {
  readonly #memory: Memory
  readonly #parts: ReadonlyArray<Part>

  /** `heap` is an address that lies in the heap, above the stack. */
  constructor(memory: Memory, heap: number) {
    const bytes = Buffer.from(memory.buffer)
    let top = bytes.length / page
    // What lies above has never been used.
    while (top > 0 && isZero(bytes, top - 1)) top--
    const stack = emptyStack(bytes, Math.min(top, Math.floor(heap / page)))
    const parts = [
      { from: 0, to: stack.from },
      { from: stack.to, to: top }
    ]
    this.#memory = memory
    this.#parts = parts.map(({ from, to }) => ({
      at: from * page,
      bytes: new Uint8Array(memory.buffer.slice(from * page, to * page))
    }))
  }

  /** In bytes. */
  get size(): number {
    return this.#parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  restore(): void {
    const memory = new Uint8Array(this.#memory.buffer)
    for (const { at, bytes } of this.#parts) memory.set(bytes, at)
  }
}
