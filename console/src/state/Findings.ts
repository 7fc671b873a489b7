/** What plugins made of the messages that the page shows. */
import { isEvent } from "@agentlip/client"
import type { Enrichment, Job, LiveEvent } from "@agentlip/protocol"
import { signal } from "@preact/signals"
import { hub } from "../session.ts"

export interface Found {
  readonly enrichments: ReadonlyArray<Enrichment>
  /** The jobs of the message's newest content. */
  readonly jobs: ReadonlyArray<Job>
}

const nothing: Found = { enrichments: [], jobs: [] }

const isOpen = ({ state }: Job): boolean => state === "pending" || state === "waiting"

const atOnce = 50
/** Waits between two questions about jobs that are still open, in milliseconds. */
const firstWait = 250
const lastWait = 15_000

const readEnrichments = async (message_id: ReadonlyArray<string>) => {
  const found: Array<Enrichment> = []
  for (let after: string | null | undefined; after !== null; ) {
    const page = await hub.findings({ query: { message_id, ...(after === undefined ? {} : { after }) } })
    for (const finding of page.findings) if (finding.type === "enrichment") found.push(finding)
    after = page.next
  }
  return Map.groupBy(found, (one) => one.message_id)
}

const readJobs = async (ids: ReadonlyArray<string>) => {
  const found: Array<Job> = []
  for (let rest = ids; rest.length > 0; ) {
    const { jobs, next } = await hub.newestJobs({ query: { message_id: rest } })
    found.push(...jobs)
    rest = next === null ? [] : rest.slice(rest.indexOf(next))
  }
  return Map.groupBy(found, (one) => one.message_id)
}

/** The findings of a list of messages. Asks about many messages at once, and again while jobs are open. */
export class Findings {
  readonly all = signal<ReadonlyMap<string, Found>>(new Map())
  readonly #wanted = new Set<string>()
  readonly #waits = new Map<string, number>()
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  #isAsking = false
  #isClosed = false

  of(id: string): Found {
    return this.all.value.get(id) ?? nothing
  }

  /** Asks for the findings of these messages. */
  want(ids: Iterable<string>): void {
    for (const id of ids) this.#wanted.add(id)
    if (!this.#isAsking && this.#wanted.size > 0) void this.#ask()
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  apply(events: ReadonlyArray<LiveEvent>, isShown: (id: string) => boolean): void {
    const again = new Set<string>()
    const next = new Map(this.all.peek())
    for (const event of events) {
      if (isEvent(event, "message.enriched") && isShown(event.data.message_id)) {
        const { message_id, plugin_name, plugin_version = null, enrichments } = event.data
        const found = next.get(message_id) ?? nothing
        const others = found.enrichments.filter((one) => one.plugin_name !== plugin_name)
        const added = enrichments.map((one) => ({
          ...one,
          message_id,
          plugin_name,
          plugin_version,
          created_at: event.ts
        }))
        const jobs = found.jobs.map((job) =>
          job.plugin_name === plugin_name ? { ...job, state: "committed" as const, error: null } : job
        )
        next.set(message_id, { enrichments: [...others, ...added], jobs })
      } else if (isEvent(event, "message.edited")) {
        // Spans point into a text that is gone.
        if (next.has(event.data.message_id)) next.set(event.data.message_id, nothing)
        again.add(event.data.message_id)
      } else if (isEvent(event, "message.deleted")) next.delete(event.data.message_id)
      else if (isEvent(event, "plugin.failed") || isEvent(event, "plugin.stale"))
        again.add(event.data.message_id)
      else if (isEvent(event, "message.created")) again.add(event.data.message.id)
    }
    this.all.value = next
    this.want([...again].filter(isShown))
  }

  async #ask(): Promise<void> {
    this.#isAsking = true
    try {
      while (this.#wanted.size > 0 && !this.#isClosed) {
        const ids = [...this.#wanted].slice(0, atOnce)
        for (const id of ids) this.#wanted.delete(id)
        const [enrichments, jobs] = await Promise.all([readEnrichments(ids), readJobs(ids)])
        const next = new Map(this.all.peek())
        for (const id of ids) {
          const found = { enrichments: enrichments.get(id) ?? [], jobs: jobs.get(id) ?? [] }
          next.set(id, found)
          if (found.jobs.some(isOpen)) this.#later(id)
          else this.#waits.delete(id)
        }
        this.all.value = next
      }
    } catch {
      // The hub is away. The list asks again when it is back.
      this.#wanted.clear()
    } finally {
      this.#isAsking = false
    }
  }

  #later(id: string): void {
    const wait = this.#waits.get(id) ?? firstWait
    this.#waits.set(id, Math.min(lastWait, wait * 2))
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.want([id])
    }, wait)
    this.#timers.add(timer)
  }
}
