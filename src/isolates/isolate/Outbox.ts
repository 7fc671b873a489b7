/** Gathers requests to run that go out together, before the next turn of the event loop. */
import { joinRequests } from "../../wire/codec.ts"

/** Requests in one message. */
const gatheredAtMost = 16

export class Outbox {
  readonly #send: (texts: string) => void
  #texts = ""
  #count = 0

  constructor(send: (texts: string) => void) {
    this.#send = send
  }

  add(text: string): void {
    if (this.#texts === "") {
      this.#texts = text
      queueMicrotask(() => this.#flush())
    } else this.#texts = joinRequests(this.#texts, text)
    // A host that takes many replies in one turn sends in between: otherwise its guest would have nothing to do.
    if (++this.#count === gatheredAtMost) this.#flush()
  }

  #flush(): void {
    const texts = this.#texts
    this.#texts = ""
    this.#count = 0
    if (texts !== "") this.#send(texts)
  }
}
