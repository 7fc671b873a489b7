/** Texts by key, bounded by their number and by what they take; those not asked for longest go first. */

/** What an entry takes beside its text: the key, the map's own, an object. */
const overhead = 256

/** Bytes that a text is counted as: strings may take two a unit. */
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
