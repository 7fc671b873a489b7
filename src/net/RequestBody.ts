/**
 * A request's body from the guest: asks for it chunk by chunk, and keeps the chunks so that a redirect can send
 * them again.
 */
import { Effect, Latch } from "effect"
import type { ClientRequest } from "node:http"
import { type FetchProblem, problem } from "./problem.ts"

/** The most bytes of a request's body. */
export const maxRequestBytes = 1024 * 1024

export class RequestBody {
  readonly #chunks: Array<Uint8Array> = []
  readonly #arrived = Latch.makeUnsafe()
  readonly #ask: () => void
  readonly #length: number | undefined
  #asked = false
  #ended = false
  #bytes = 0
  #problem: FetchProblem | undefined

  constructor(ask: () => void, length: number | undefined) {
    this.#ask = ask
    this.#length = length
    if (length !== undefined) this.#checkBytes(length)
  }

  /** Takes a chunk that the guest sent, or `undefined` at the end. Returns `false` if no chunk was asked for. */
  arrive(chunk: Uint8Array | undefined): boolean {
    if (!this.#asked) return false
    this.#asked = false
    if (chunk !== undefined) {
      this.#bytes += chunk.length
      this.#checkBytes(this.#bytes)
      this.#chunks.push(chunk)
    } else {
      this.#ended = true
      if (this.#length !== undefined && this.#length !== this.#bytes) {
        this.#problem ??= problem(`the request body has ${this.#bytes} bytes instead of ${this.#length}`)
      }
    }
    this.#arrived.openUnsafe()
    return true
  }

  /** Writes the whole body, as fast as the connection accepts it, and ends the request. */
  writeTo(request: ClientRequest): Effect.Effect<void, FetchProblem> {
    const write = (at: number): Effect.Effect<void, FetchProblem> =>
      Effect.flatMap(this.#chunk(at), (chunk) => {
        if (chunk === undefined) return Effect.sync(() => request.end())
        // The request's own error event reports a failed write.
        const written = Effect.callback<void>((resume) => {
          request.write(chunk, () => resume(Effect.void))
        })
        return Effect.flatMap(written, () => write(at + 1))
      })
    return write(0)
  }

  #chunk(at: number): Effect.Effect<Uint8Array | undefined, FetchProblem> {
    return Effect.suspend(() => {
      if (this.#problem !== undefined) return Effect.fail(this.#problem)
      const chunk = this.#chunks[at]
      if (chunk !== undefined || this.#ended) return Effect.succeed(chunk)
      if (!this.#asked) {
        this.#asked = true
        this.#arrived.closeUnsafe()
        this.#ask()
      }
      return Effect.flatMap(this.#arrived.await, () => this.#chunk(at))
    })
  }

  #checkBytes(bytes: number): void {
    if (bytes > maxRequestBytes) {
      this.#problem ??= problem(`the request body is over ${maxRequestBytes} bytes`)
    }
  }
}
