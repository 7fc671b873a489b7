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
const margin = (256 * 1024) / page

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

/** Where memory ends that has ever been used. */
const topOf = (bytes: Buffer): number => {
  let top = bytes.length / page
  while (top > 0 && isZero(bytes, top - 1)) top--
  return top
}

export class MemoryImage {
  readonly #memory: Memory
  readonly #stack: Stretch
  #parts: ReadonlyArray<Part> = []

  /** `heap` is an address that lies in the heap, above the stack. Made ahead: the first look at so much memory is slow. */
  constructor(memory: Memory, heap: number) {
    const bytes = Buffer.from(memory.buffer)
    this.#memory = memory
    this.#stack = emptyStack(bytes, Math.min(topOf(bytes), Math.floor(heap / page)))
  }

  get taken(): boolean {
    return this.#parts.length > 0
  }

  take(): void {
    const { buffer } = this.#memory
    const stretches = [
      { from: 0, to: this.#stack.from },
      { from: this.#stack.to, to: topOf(Buffer.from(buffer)) }
    ]
    this.#parts = stretches.map(({ from, to }) => ({
      at: from * page,
      bytes: new Uint8Array(buffer.slice(from * page, to * page))
    }))
  }

  restore(): void {
    const memory = new Uint8Array(this.#memory.buffer)
    for (const { at, bytes } of this.#parts) memory.set(bytes, at)
  }
}
