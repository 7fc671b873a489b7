/** The messages of one topic that the page holds: a window that moves, so that long topics stay fast. */
import { isEvent } from "@agentlip/client"
import type { LiveEvent, Message } from "@agentlip/protocol"
import { computed, signal } from "@preact/signals"
import { changing, hub, textOf } from "../session.ts"
import { Findings } from "./Findings.ts"
import { onEvents, onOpen } from "./live.ts"
import { Outbox } from "./Outbox.ts"
import { TopicAttachments } from "./TopicAttachments.ts"

const pageSize = 50
/** Messages in the window. The far end is dropped when more are read at the other. */
const maxMessages = 150
const sorted = (messages: Iterable<Message>): ReadonlyArray<Message> =>
  [...messages].sort((one, other) => (one.id < other.id ? -1 : 1))

export class Thread {
  readonly topic: string
  /** Oldest first. */
  readonly messages = signal<ReadonlyArray<Message>>([])
  readonly hasOlder = signal(false)
  readonly hasNewer = signal(false)
  readonly state = signal<"loading" | "ready" | "failed">("loading")
  readonly problem = signal<string | undefined>(undefined)
  readonly outbox: Outbox
  readonly attachments = new TopicAttachments()
  readonly findings = new Findings()
  readonly isEmpty = computed(
    () =>
      this.state.value === "ready" &&
      this.messages.value.length === 0 &&
      this.outbox.unsent.value.length === 0
  )
  readonly #stop: ReadonlyArray<() => void>
  /** Messages that were created while the newest ones were being read. */
  #arrived: Array<Message> = []
  #isReading = false
  /** The stream opened again while messages were being read: they may lack what was posted meanwhile. */
  #isOutdated = false

  constructor(topic: string) {
    this.topic = topic
    this.outbox = new Outbox(topic, (message) => this.#posted(message))
    this.#stop = [onEvents((events) => this.#apply(events)), onOpen(() => void this.#refresh())]
  }

  close(): void {
    for (const stop of this.#stop) stop()
    this.findings.close()
  }

  /** Reads the newest messages, or those around one of them. */
  async load(around?: string): Promise<void> {
    this.state.value = "loading"
    try {
      if (around === undefined) await this.#loadNewest()
      else await this.#loadAround(around)
      this.state.value = "ready"
    } catch (error) {
      this.problem.value = textOf(error)
      this.state.value = "failed"
    }
    void this.attachments.load(this.topic)
    if (!this.#isOutdated) return
    this.#isOutdated = false
    await this.#refresh()
  }

  /** Reads messages before the first one. Returns `false` if nothing was read. */
  readonly older = (): Promise<boolean> =>
    this.#read(this.hasOlder.peek(), async () => {
      const before_id = this.messages.peek()[0]?.id
      if (before_id === undefined) return
      const page = await hub.messages({ query: { topic_id: this.topic, limit: pageSize, before_id } })
      const all = sorted([...page.messages, ...this.messages.peek()])
      this.hasOlder.value = page.has_more
      if (all.length > maxMessages) this.hasNewer.value = true
      this.#show(all.slice(0, maxMessages), page.messages)
    })

  /** Reads messages after the last one. Returns `false` if nothing was read. */
  readonly newer = (): Promise<boolean> =>
    this.#read(this.hasNewer.peek(), async () => {
      const after_id = this.messages.peek().at(-1)?.id
      if (after_id === undefined) return
      const query = { topic_id: this.topic, limit: pageSize, after_id, order: "asc" as const }
      const page = await hub.messages({ query })
      const all = sorted([...this.messages.peek(), ...page.messages])
      this.hasNewer.value = page.has_more
      if (all.length > maxMessages) this.hasOlder.value = true
      this.#show(all.slice(-maxMessages), page.messages)
    })

  async edit({ id, version }: Message, content_raw: string): Promise<void> {
    const payload = { op: "edit" as const, content_raw, expected_version: version }
    await this.#change(id, payload)
  }

  async remove({ id, version }: Message, actor: string): Promise<void> {
    await this.#change(id, { op: "delete", actor, expected_version: version })
  }

  async #change(id: string, payload: Parameters<typeof hub.changeMessage>[0]["payload"]): Promise<void> {
    const answer = await changing(() => hub.changeMessage({ params: { id }, payload }))
    if (!("message" in answer)) return
    const { message } = answer
    this.messages.value = this.messages.peek().map((known) => (known.id === id ? message : known))
    this.findings.want([id])
  }

  /** Shows a message that was posted here. */
  #posted(message: Message): Promise<void> | void {
    if (this.hasNewer.peek()) return this.load()
    this.#show(sorted([...this.messages.peek(), message]), [message])
  }

  /** Shows messages, each once, and asks for the findings of the new ones. */
  #show(messages: ReadonlyArray<Message>, added: ReadonlyArray<Message>): void {
    this.messages.value = [...new Map(messages.map((message) => [message.id, message])).values()]
    this.findings.want(added.filter(({ deleted_at }) => deleted_at === null).map(({ id }) => id))
  }

  async #loadNewest(): Promise<void> {
    const page = await hub.messages({ query: { topic_id: this.topic, limit: pageSize } })
    this.hasOlder.value = page.has_more
    this.hasNewer.value = false
    const all = sorted([...this.#arrived, ...page.messages])
    this.#arrived = []
    this.#show(all, all)
  }

  async #loadAround(id: string): Promise<void> {
    const query = { topic_id: this.topic, limit: pageSize / 2 }
    const [{ message }, before, after] = await Promise.all([
      hub.message({ params: { id } }),
      hub.messages({ query: { ...query, before_id: id } }),
      hub.messages({ query: { ...query, after_id: id, order: "asc" } })
    ])
    if (message.topic_id !== this.topic) return this.#loadNewest()
    this.hasOlder.value = before.has_more
    this.hasNewer.value = after.has_more
    const all = sorted([...before.messages, message, ...after.messages])
    this.#show(all, all)
  }

  /** After the stream was away: changes of the messages in the window, and what came after them. */
  async #refresh(): Promise<void> {
    if (this.state.peek() === "loading") {
      this.#isOutdated = true
      return
    }
    if (this.state.peek() === "failed") return this.load()
    if (!this.hasNewer.peek()) await this.load()
    else this.findings.want(this.messages.peek().map(({ id }) => id))
  }

  async #read(isMore: boolean, read: () => Promise<void>): Promise<boolean> {
    if (!isMore || this.#isReading || this.state.peek() !== "ready") return false
    this.#isReading = true
    try {
      await read()
      return true
    } catch {
      // The hub is away, as the page's banner says.
      return false
    } finally {
      this.#isReading = false
    }
  }

  #apply(events: ReadonlyArray<LiveEvent>): void {
    const known = new Map(this.messages.peek().map((message) => [message.id, message]))
    const added: Array<Message> = []
    let isChanged = false
    const change = (id: string, to: (message: Message) => Message | undefined): void => {
      const message = known.get(id)
      if (message === undefined) return
      const next = to(message)
      if (next === undefined) known.delete(id)
      else known.set(id, next)
      isChanged = true
    }
    for (const event of events) {
      if (isEvent(event, "message.created")) {
        const { message } = event.data
        if (message.topic_id !== this.topic || known.has(message.id)) continue
        if (this.state.peek() !== "ready") this.#arrived.push(message)
        if (this.hasNewer.peek() || this.state.peek() !== "ready") continue
        known.set(message.id, message)
        added.push(message)
        isChanged = true
      } else if (isEvent(event, "message.edited")) {
        const { message_id, new_content, version } = event.data
        change(message_id, (message) =>
          message.version >= version
            ? message
            : { ...message, content_raw: new_content, version, edited_at: event.ts }
        )
      } else if (isEvent(event, "message.deleted")) {
        const { message_id, deleted_by, version } = event.data
        change(message_id, (message) => ({
          ...message,
          content_raw: "[deleted]",
          version,
          deleted_at: event.ts,
          deleted_by
        }))
      } else if (isEvent(event, "message.moved_topic")) {
        if (event.data.old_topic_id === this.topic) change(event.data.message_id, () => undefined)
        else if (event.data.new_topic_id === this.topic) void this.load()
      } else if (isEvent(event, "topic.attachment_added") && event.data.attachment.topic_id === this.topic) {
        this.attachments.add(event.data)
      }
    }
    if (isChanged) {
      const all = sorted(known.values())
      if (all.length > maxMessages) this.hasOlder.value = true
      this.messages.value = all.slice(-maxMessages)
    }
    this.findings.apply(events, (id) => known.has(id))
  }
}
