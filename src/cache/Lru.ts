/** Texts by key, bounded by number and by size. The least recently used ones are removed first. */

/** Bytes that an entry takes in addition to its text: the key, the map's entry, an object. */
const overhead = 256

/** The size of a text in bytes: strings may take two bytes per unit. */
export const sizeOf = (text: string): number => 2 * text.length + overhead

export class Lru {
  readonly #texts = new Map<string, string>()
  readonly #maxEntries: number
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
  }

  get entries(): number {
    return this.#texts.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): string | undefined {
    const text = this.#texts.get(key)
    if (text === undefined) return undefined
    // A map keeps the order of insertion.
    this.#texts.delete(key)
    this.#texts.set(key, text)
    return text
  }

  set(key: string, text: string): void {
    this.#delete(key)
    const size = sizeOf(text)
    if (size > this.#maxBytes) return
    this.#texts.set(key, text)
    this.#bytes += size
    for (const oldest of this.#texts.keys()) {
      if (this.#texts.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) return
      this.#delete(oldest)
    }
  }

  #delete(key: string): void {
    const text = this.#texts.get(key)
    if (text === undefined) return
    this.#texts.delete(key)
    this.#bytes -= sizeOf(text)
  }
}
