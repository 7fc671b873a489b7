/** A request's body on its way from the guest: asked for chunk by chunk, kept so that a redirect can repeat it. */
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

  /** Takes what the guest sent, `undefined` at the end; `false` if nobody had asked. */
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

  /** Writes all of it, as fast as the connection takes it, and ends the request. */
  writeTo(request: ClientRequest): Effect.Effect<void, FetchProblem> {
    const write = (at: number): Effect.Effect<void, FetchProblem> =>
      Effect.flatMap(this.#chunk(at), (chunk) => {
        if (chunk === undefined) return Effect.sync(() => request.end())
        // A broken write is told by the request's own error event.
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
