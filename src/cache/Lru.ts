/** Values by key, bounded by number and by size. The least recently used ones are removed first. */

/** Bytes that an entry takes in addition to its text: the key, the map's entry, an object. */
const overhead = 256

/** The size of a text in bytes: strings may take two bytes per unit. */
export const sizeOf = (text: string): number => 2 * text.length + overhead

export interface LruOptions<Value> {
  readonly maxEntries?: number
  /** The most that the values' sizes may add up to, in the unit of the option `sizeOf`. A larger value is not kept at all. */
  readonly maxSize?: number
  /** The size of a value, which must not change. Default: 1. */
  readonly sizeOf?: (value: Value) => number
}

export class Lru<Value> {
  readonly #values = new Map<string, Value>()
  readonly #maxEntries: number
  readonly #maxSize: number
  readonly #sizeOf: (value: Value) => number
  #size = 0

  constructor({ maxEntries = Infinity, maxSize = Infinity, sizeOf = () => 1 }: LruOptions<Value>) {
    this.#maxEntries = maxEntries
    this.#maxSize = maxSize
    this.#sizeOf = sizeOf
  }

  get entries(): number {
    return this.#values.size
  }

  get size(): number {
    return this.#size
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    // A map keeps the order of insertion.
    this.#values.delete(key)
    this.#values.set(key, value)
    return value
  }

  set(key: string, value: Value): void {
    this.delete(key)
    const size = this.#sizeOf(value)
    if (size > this.#maxSize) return
    this.#values.set(key, value)
    this.#size += size
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#maxEntries && this.#size <= this.#maxSize) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const value = this.#values.get(key)
    if (value === undefined) return
    this.#values.delete(key)
    this.#size -= this.#sizeOf(value)
  }
}
