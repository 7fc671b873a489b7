/**
 * A copy of an instance's memory, to restore later: each run starts from the memory as the load left it, and leaves
 * nothing for the next. Take and restore it only between calls into the instance, when its stack is empty.
 */
import type { Memory } from "./webAssembly.ts"

const page = 64 * 1024
const zeros = Buffer.alloc(page)

/** A range of memory, in pages. */
interface Stretch {
  readonly from: number
  readonly to: number
}

const isZero = (bytes: Buffer, at: number): boolean =>
  bytes.compare(zeros, 0, page, at * page, (at + 1) * page) === 0

/**
 * In pages. This much of the zeros is kept in the image, because unused static variables beside the stack are zero
 * too.
 */
const margin = (256 * 1024) / page

/** The empty stack, which the image leaves out: the longest range of zeros below the heap. It is megabytes long. */
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

/** The end of the memory that was ever used, in pages. */
const topOf = (bytes: Buffer): number => {
  let top = bytes.length / page
  while (top > 0 && isZero(bytes, top - 1)) top--
  return top
}

export class MemoryImage {
  readonly #memory: Memory
  readonly #stack: Stretch
  #parts: ReadonlyArray<Part> = []

  /**
   * `heap` is an address in the heap, which is above the stack. Construct the image ahead: the first read of so
   * much memory is slow.
   */
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
