/** Messages of this browser that the hub has not confirmed. */
import type { Message } from "@agentlip/protocol"
import { signal } from "@preact/signals"
import { changing, hub, textOf } from "../session.ts"

/** How long a post may take. In milliseconds. A browser may wait much longer on a connection that is gone. */
const postTimeout = 10_000

/** A message that the hub has not confirmed. */
export interface Unsent {
  readonly key: string
  readonly sender: string
  readonly content_raw: string
  /** Why it failed; `undefined` while it is on its way. */
  readonly problem: string | undefined
}

export class Outbox {
  readonly unsent = signal<ReadonlyArray<Unsent>>([])
  readonly #topic: string
  readonly #posted: (message: Message) => Promise<void> | void

  /** `posted` is called with each message that the hub has confirmed. */
  constructor(topic: string, posted: (message: Message) => Promise<void> | void) {
    this.#topic = topic
    this.#posted = posted
  }

  /** Shows a message at once and sends it. It is repeated with the same key, so that it is never posted twice. */
  async post(sender: string, content_raw: string): Promise<void> {
    const unsent = { key: crypto.randomUUID(), sender, content_raw, problem: undefined }
    this.unsent.value = [...this.unsent.peek(), unsent]
    await this.#send(unsent)
  }

  async retry(unsent: Unsent): Promise<void> {
    const again = { ...unsent, problem: undefined }
    this.#replace(unsent.key, again)
    await this.#send(again)
  }

  discard({ key }: Unsent): void {
    this.#replace(key)
  }

  async #send({ key, sender, content_raw }: Unsent): Promise<void> {
    try {
      const payload = { topic_id: this.#topic, sender, content_raw }
      const { message } = await changing(() =>
        hub.createMessage({ payload }, { idempotencyKey: key, signal: AbortSignal.timeout(postTimeout) })
      )
      this.#replace(key)
      await this.#posted(message)
    } catch (error) {
      this.#replace(key, { key, sender, content_raw, problem: textOf(error) })
    }
  }

  #replace(key: string, ...by: ReadonlyArray<Unsent>): void {
    this.unsent.value = this.unsent.peek().flatMap((one) => (one.key === key ? by : [one]))
  }
}
