/** One request and its response, as the guest sees them. */
import { Bytes, CapturedPromise, type Environment } from "./capturedBuiltIns.ts"
import type { Head } from "./RequestResponse.ts"
import { type HostMessage, maxChunk } from "../../wire/fetchMessages.ts"
import type { Source } from "./sources.ts"

/** A caller of `source.next()` that waits for a chunk. */
interface Reader {
  readonly take: (chunk: Uint8Array | undefined) => void
  readonly fail: (error: unknown) => void
}

export class OpenFetch {
  readonly #environment: Environment
  readonly #id: number
  readonly #upload: Source | undefined
  readonly #signal: AbortSignal | undefined
  readonly #opening: string
  readonly #onDone: () => void
  /** The unsent remainder of an upload chunk that was too long for one message. */
  #rest: Uint8Array | undefined
  /**
   * A received chunk that is not yet read. There is at most one: the guest asks the host for the next when this one
   * is read.
   */
  #chunk: Uint8Array | undefined
  readonly #readers: Array<Reader> = []
  #state: "waiting" | "reading" | "done" = "waiting"
  #failure: { readonly error: unknown } | undefined
  #resolve: (head: Head) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(
    environment: Environment,
    id: number,
    upload: Source | undefined,
    signal: AbortSignal | undefined,
    opening: string,
    onDone: () => void
  ) {
    this.#environment = environment
    this.#id = id
    this.#upload = upload
    this.#signal = signal
    this.#opening = opening
    this.#onDone = onDone
  }

  /** Sends the request. Calls `resolve` with the response's head, or `reject` if the request fails before that. */
  start(resolve: (head: Head) => void, reject: (error: unknown) => void): void {
    this.#resolve = resolve
    this.#reject = reject
    const signal = this.#signal
    if (signal?.aborted === true) return this.fail(this.#abortReason())
    signal?.addEventListener("abort", this.#onAbort)
    this.#environment.send(this.#opening)
  }

  /** The response's body. */
  readonly source: Source = {
    next: () =>
      new CapturedPromise((take, fail) => {
        if (this.#chunk !== undefined) {
          const chunk = this.#chunk
          this.#chunk = undefined
          this.#tell("pull")
          take(chunk)
        } else if (this.#failure !== undefined) fail(this.#failure.error)
        else if (this.#state === "done") take(undefined)
        else this.#readers[this.#readers.length] = { take, fail }
      }),
    cancel: () => {
      this.#chunk = undefined
      this.#tell("cancel")
      this.#finish()
    }
  }

  receive(message: HostMessage): void {
    switch (message.op) {
      case "head":
        this.#state = "reading"
        return this.#resolve(message)
      case "chunk": {
        const chunk = this.#environment.fromBase64(message.data)
        const reader = this.#readers.shift()
        if (reader === undefined) this.#chunk = chunk
        else {
          this.#tell("pull")
          reader.take(chunk)
        }
        return
      }
      case "more":
        return void this.#sendMore()
      case "end":
        return this.#finish()
      case "error":
        return this.#settleFailure(this.#environment.makeError(message.name, message.message))
    }
  }

  /** Fails the request from the guest's side. */
  fail(error: unknown): void {
    this.#settleFailure(error)
  }

  readonly #onAbort = (): void => {
    this.#tell("cancel")
    this.fail(this.#abortReason())
  }

  #abortReason(): unknown {
    return this.#signal?.reason ?? this.#environment.makeError("AbortError", "the request was aborted")
  }

  #tell(op: "pull" | "cancel"): void {
    if (this.#state !== "done") this.#environment.send(`{"op":"${op}","id":${this.#id}}`)
  }

  async #sendMore(): Promise<void> {
    try {
      const chunk = this.#rest ?? (await this.#upload?.next())
      if (this.#state === "done") return
      if (chunk === undefined) return this.#environment.send(`{"op":"bodyEnd","id":${this.#id}}`)
      const piece = chunk.length <= maxChunk ? chunk : new Bytes(chunk.buffer, chunk.byteOffset, maxChunk)
      this.#rest =
        piece === chunk
          ? undefined
          : new Bytes(chunk.buffer, chunk.byteOffset + maxChunk, chunk.length - maxChunk)
      const data = this.#environment.toBase64(piece)
      this.#environment.send(`{"op":"body","id":${this.#id},"data":"${data}"}`)
    } catch (error) {
      // The plugin's own body stream failed, so the request cannot be completed.
      this.#tell("cancel")
      this.fail(error)
    }
  }

  #settleFailure(error: unknown): void {
    if (this.#state === "done") return
    const wasWaiting = this.#state === "waiting"
    this.#failure = { error }
    this.#finish()
    if (wasWaiting) this.#reject(error)
  }

  #finish(): void {
    if (this.#state === "done") return
    this.#state = "done"
    this.#onDone()
    this.#signal?.removeEventListener("abort", this.#onAbort)
    this.#upload?.cancel()
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) {
      if (this.#failure === undefined) reader.take(undefined)
      else reader.fail(this.#failure.error)
    }
  }
}
