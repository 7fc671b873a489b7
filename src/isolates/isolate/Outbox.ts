/** Sends requests to run. Those behind the first are gathered, and go out together before the next turn of the event loop. */
import { joinRequests } from "../../wire/codec.ts"
import type { LongText } from "../../wire/runInput.ts"

/** Sends requests; long texts belong to the only one. */
type Send = (requests: string, texts?: ReadonlyArray<LongText>) => void

/** The most requests in one message. With fewer the host sends more often, with more the guest waits longer for the first. */
const requestsAtOnce = 32

/**
 * Characters after which a message is sent. A message of several long texts would be one string so long that V8 keeps
 * it until a full collection.
 */
const longMessage = 64 * 1024

export class Outbox {
  readonly #send: Send
  #texts = ""
  #count = 0

  constructor(send: Send) {
    this.#send = send
  }

  /** `isAwaited`: the guest has nothing else to do. */
  add(text: string, isAwaited: boolean, texts?: ReadonlyArray<LongText>): void {
    if (texts !== undefined) {
      this.#flush()
      return this.#send(text, texts)
    }
    if (this.#texts === "") {
      // The guest wakes up while the host does the rest that a run's start takes.
      if (isAwaited) return this.#send(text)
      this.#texts = text
      queueMicrotask(() => this.#flush())
    } else this.#texts = joinRequests(this.#texts, text)
    // A host that takes many replies in one turn sends in between: otherwise its guest would have nothing to do.
    if (++this.#count >= requestsAtOnce || this.#texts.length >= longMessage) this.#flush()
  }

  #flush(): void {
    const texts = this.#texts
    this.#texts = ""
    this.#count = 0
    if (texts !== "") this.#send(texts)
  }
}
