/** One request and its response, as the guest sees them. */
import { Bytes } from "../shared/intrinsics.ts"
import { rememberMissing } from "../shared/missingGrants.ts"
import { CapturedPromise, makeError } from "./capturedBuiltIns.ts"
import type { Head } from "./RequestResponse.ts"
import { type HostMessage, maxChunk } from "../../wire/fetchMessages.ts"
import type { Source } from "./sources.ts"

/** A caller of `source.next()` that waits for a chunk. */
interface Reader {
  readonly take: (chunk: Uint8Array | undefined) => void
  readonly fail: (error: unknown) => void
}

/** The connection to the host's broker. */
export interface Broker {
  readonly send: (json: string) => void
  readonly toBase64: (bytes: Uint8Array) => string
  readonly fromBase64: (text: string) => Uint8Array
}

interface OpenFetchOptions {
  readonly broker: Broker
  readonly id: number
  /** The message that opens the request. */
  readonly message: string
  readonly upload: Source | undefined
  readonly signal: AbortSignal
  readonly onDone: () => void
}

export class OpenFetch {
  readonly #options: OpenFetchOptions
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

  constructor(options: OpenFetchOptions) {
    this.#options = options
  }

  /** Sends the request. Calls `resolve` with the response's head, or `reject` if the request fails before that. */
  start(resolve: (head: Head) => void, reject: (error: unknown) => void): void {
    this.#resolve = resolve
    this.#reject = reject
    const { signal, broker, message } = this.#options
    if (signal.aborted) return this.fail(this.#abortReason())
    signal.addEventListener("abort", this.#onAbort)
    broker.send(message)
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
        const chunk = this.#options.broker.fromBase64(message.data)
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
      case "error": {
        const error = makeError(message.name, message.message)
        return this.fail(message.grant === undefined ? error : rememberMissing(error, "net", message.grant))
      }
    }
  }

  fail(error: unknown): void {
    if (this.#state === "done") return
    const wasWaiting = this.#state === "waiting"
    this.#failure = { error }
    this.#finish()
    if (wasWaiting) this.#reject(error)
  }

  readonly #onAbort = (): void => {
    this.#tell("cancel")
    this.fail(this.#abortReason())
  }

  #abortReason(): unknown {
    return this.#options.signal.reason ?? makeError("AbortError", "the request was aborted")
  }

  #tell(op: "pull" | "cancel"): void {
    if (this.#state !== "done") this.#options.broker.send(`{"op":"${op}","id":${this.#options.id}}`)
  }

  async #sendMore(): Promise<void> {
    const { broker, id, upload } = this.#options
    try {
      const chunk = this.#rest ?? (await upload?.next())
      if (this.#state === "done") return
      if (chunk === undefined) return broker.send(`{"op":"bodyEnd","id":${id}}`)
      const piece = chunk.length <= maxChunk ? chunk : new Bytes(chunk.buffer, chunk.byteOffset, maxChunk)
      this.#rest =
        piece === chunk
          ? undefined
          : new Bytes(chunk.buffer, chunk.byteOffset + maxChunk, chunk.length - maxChunk)
      broker.send(`{"op":"body","id":${id},"data":"${broker.toBase64(piece)}"}`)
    } catch (error) {
      // The plugin's own body stream failed, so the request cannot be completed.
      this.#tell("cancel")
      this.fail(error)
    }
  }

  #finish(): void {
    if (this.#state === "done") return
    this.#state = "done"
    const { onDone, signal, upload } = this.#options
    onDone()
    signal.removeEventListener("abort", this.#onAbort)
    upload?.cancel()
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) {
      if (this.#failure === undefined) reader.take(undefined)
      else reader.fail(this.#failure.error)
    }
  }
}
