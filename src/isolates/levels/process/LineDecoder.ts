/**
 * The frame codec of the process level: UTF-8 texts that end with a line feed. JSON has no raw line feed. A guest that
 * sends one anyway only splits its own message.
 */

const lineFeed = 10
const maxChunks = 256

/** Splits a stream of bytes into lines. Keeps at most the longest allowed line. */
export class LineDecoder {
  /** The most bytes of UTF-8 in a line. */
  maxLength: number
  readonly #onLine: (line: string) => void
  readonly #onTooLong: (length: number) => void
  #chunks: Array<Buffer> = []
  #length = 0
  #broken = false

  /** `onTooLong` is called once. No line follows. */
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
        // Otherwise a line that arrives byte by byte would keep an object for each byte.
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
