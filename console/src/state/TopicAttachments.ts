/** The attachments of a topic, and the plugins that found them. */
import type { Attachment } from "@agentlip/protocol"
import { signal } from "@preact/signals"
import { hub } from "../session.ts"

export interface Finder {
  readonly plugin_name: string
  /** `null`: the hub does not know. */
  readonly plugin_version: string | null
}

export interface FoundAttachment extends Attachment {
  /** `undefined`: a client attached it, or the page does not know yet. */
  readonly finder: Finder | undefined
}

const most = 200
/** Messages whose findings are asked for at once. */
const atOnce = 50

/** The plugins that found attachments in these messages, by the attachment's id. */
const findersIn = async (messages: ReadonlyArray<string>): Promise<ReadonlyMap<string, Finder>> => {
  const finders = new Map<string, Finder>()
  for (let at = 0; at < messages.length; at += atOnce) {
    const message_id = messages.slice(at, at + atOnce)
    for (let after: string | null | undefined; after !== null; ) {
      const page = await hub.findings({ query: { message_id, ...(after === undefined ? {} : { after }) } })
      for (const finding of page.findings) {
        if (finding.type === "attachment") finders.set(finding.attachment.id, finding)
      }
      after = page.next
    }
  }
  return finders
}

const idsOf = (all: ReadonlyArray<Attachment>): ReadonlySet<string> => new Set(all.map(({ id }) => id))

export class TopicAttachments {
  /** Newest first. */
  readonly all = signal<ReadonlyArray<FoundAttachment>>([])
  #loads = 0
  /** The last load that was answered: an older answer does not replace a newer one. */
  #shown = 0
  /** How many loads had begun when an event brought an attachment. */
  readonly #arrivals = new Map<string, number>()

  async load(topic: string): Promise<void> {
    const load = ++this.#loads
    try {
      const { attachments } = await hub.attachments({ params: { id: topic }, query: { limit: most } })
      if (load < this.#shown) return
      this.#shown = load
      const known = new Map(this.all.peek().map((one) => [one.id, one]))
      const read = idsOf(attachments)
      const arrived = [...known.values()].filter(
        ({ id }) => (this.#arrivals.get(id) ?? 0) >= load && !read.has(id)
      )
      this.all.value = [
        ...arrived,
        ...attachments.map((one) => ({ finder: known.get(one.id)?.finder, ...one }))
      ]
      const sources = new Set(attachments.flatMap(({ source_message_id }) => source_message_id ?? []))
      const finders = await findersIn([...sources])
      if (load !== this.#shown) return
      this.all.value = this.all.peek().map((one) => ({ ...one, finder: finders.get(one.id) ?? one.finder }))
    } catch {
      // The thread's own problem says more.
    }
  }

  /** Of an event. */
  add({
    attachment,
    plugin_name,
    plugin_version = null
  }: {
    readonly attachment: Attachment
    readonly plugin_name?: string
    readonly plugin_version?: string | null
  }): void {
    this.#arrivals.set(attachment.id, this.#loads)
    const others = this.all.peek().filter(({ id }) => id !== attachment.id)
    const finder = plugin_name === undefined ? undefined : { plugin_name, plugin_version }
    this.all.value = [{ ...attachment, finder }, ...others]
  }
}
