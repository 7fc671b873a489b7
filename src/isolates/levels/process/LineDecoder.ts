/**
 * The frame codec of the process level: texts of UTF-8, each ended by a line feed. JSON has no raw line feed,
 * and whoever sends one anyway has only broken its own message in two.
 */

const lineFeed = 10
const maxChunks = 256

/** Cuts a stream of bytes into lines; keeps no more than a line's limit of it. */
export class LineDecoder {
  /** Bytes of UTF-8 that a line may have. */
  maxLength: number
  readonly #onLine: (line: string) => void
  readonly #onTooLong: (length: number) => void
  #chunks: Array<Buffer> = []
  #length = 0
  #broken = false

  /** `onTooLong` is told once; nothing comes after it. */
  constructor(maxLength: number, onLine: (line: string) => void, onTooLong: (length: number) => void) {
    this.maxLength = maxLength
    this.#onLine = onLine
    this.#onTooLong = onTooLong
  }

  push(chunk: Buffer): void {
    let from = 0
    while (!this.#broken) {
      const end = chunk.indexOf(lineFeed, from)
      const length = this.#length + (end < 0 ? chunk.length : end) - from
      if (length > this.maxLength) {
        this.#broken = true
        this.#chunks = []
        this.#onTooLong(length)
        return
      }
      if (end < 0) {
        if (from < chunk.length) this.#chunks.push(from === 0 ? chunk : chunk.subarray(from))
        // A line that comes a byte at a time would otherwise keep an object for each.
        if (this.#chunks.length > maxChunks) this.#chunks = [Buffer.concat(this.#chunks)]
        this.#length = length
        return
      }
      this.#onLine(this.#take(chunk, from, end))
      from = end + 1
    }
  }

  #take(chunk: Buffer, from: number, end: number): string {
    if (this.#length === 0) return chunk.toString("utf8", from, end)
    const line = Buffer.concat([...this.#chunks, chunk.subarray(from, end)]).toString("utf8")
    this.#chunks = []
    this.#length = 0
    return line
  }
}
