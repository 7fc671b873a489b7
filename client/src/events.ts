/** Follows a hub's events over server-sent events, and resumes after every interruption. */
import type { AgentlipEvent, EventName, LiveEvent } from "@agentlip/protocol"
import { createParser } from "eventsource-parser"
import { HubError, refusalIn } from "./HubError.ts"

export interface EventOptions {
  /** Start after the event with this number; 0 starts with the first one. Default: only new events. */
  readonly after?: number
  /** Only events of these channels, or of these `topics`, by id. */
  readonly channels?: ReadonlyArray<string>
  /** Ids of topics. */
  readonly topics?: ReadonlyArray<string>
  /** Ends the iteration. */
  readonly signal?: AbortSignal
  /** Called when the connection opens and when it is lost. After `lost`, the client reconnects. */
  readonly onConnection?: (state: "open" | "lost", reason?: HubError) => void
}

/** What `follow` needs from a client. */
export interface EventSource {
  /** Opens the stream. Rejects with a `HubError`. */
  readonly open: (query: string, signal: AbortSignal) => Promise<Response>
  /** The id of the hub's database, if it is known. */
  readonly database: () => Promise<string | undefined>
  /** The number of the newest event. */
  readonly newest: (signal: AbortSignal) => Promise<number>
}

/** The hub sends a comment every 15 seconds, so a connection that is silent for this long is dead. Milliseconds. */
const silence = 40_000

/** How long an attempt to open the stream may take. Milliseconds. A network may swallow a request without an answer. */
const patience = 30_000

/** The wait between two attempts, in milliseconds. It doubles from the first value to the last. */
const firstWait = 200
const lastWait = 5_000

/** True if a retry cannot help, because the hub refused the request. */
const isFinal = ({ status, code }: HubError): boolean =>
  (status >= 400 && status < 500 && status !== 429) || code === "OTHER_DATABASE"

/** Event numbers mean nothing in another database. */
const requireSameDatabase = (before: string | undefined, now: string | undefined): void => {
  if (before === undefined || now === undefined || before === now) return
  throw new HubError(
    "The hub now has another database, with other events. Follow again from its first event",
    {
      code: "OTHER_DATABASE",
      status: 0
    }
  )
}

const queryOf = ({ channels = [], topics = [] }: EventOptions, after: number): string => {
  const query = new URLSearchParams({ after: String(after) })
  for (const id of channels) query.append("channel_id", id)
  for (const id of topics) query.append("topic_id", id)
  return query.toString()
}

const sleep = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", done)
      resolve()
    }
    const timer = setTimeout(done, millis)
    signal.addEventListener("abort", done)
  })

const lost = (cause: unknown): HubError =>
  cause instanceof HubError
    ? cause
    : new HubError("The event stream was cut", { code: "UNREACHABLE", status: 0, cause })

/** Reads one connection until it ends. */
async function* read(response: Response, signal: AbortSignal, cut: () => void): AsyncGenerator<LiveEvent> {
  if (response.body === null) return
  let arrived: Array<LiveEvent> = []
  const parser = createParser({
    // Needs no validation: the client has checked that this is its hub.
    onEvent: ({ data }) => arrived.push(JSON.parse(data) as LiveEvent)
  })
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let watch = setTimeout(cut, silence)
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(watch)
      watch = setTimeout(cut, silence)
      parser.feed(decoder.decode(value, { stream: true }))
      const events = arrived
      arrived = []
      // Stop the timer while the consumer handles events: a slow consumer is not a silent connection.
      clearTimeout(watch)
      for (const event of events) yield event
      watch = setTimeout(cut, silence)
    }
  } finally {
    clearTimeout(watch)
    await reader.cancel().catch(() => {})
  }
}

/**
 * Yields every event once and in order. A lost connection is reopened after the last event, with growing waits. Ends
 * when `signal` is aborted. Rejects with a `HubError` if the hub refuses.
 */
export async function* follow(source: EventSource, options: EventOptions): AsyncGenerator<LiveEvent> {
  const stopped = options.signal ?? new AbortController().signal
  let after = options.after
  let database: string | undefined
  let wait = firstWait
  while (!stopped.aborted) {
    const connection = new AbortController()
    const cut = (): void => connection.abort()
    stopped.addEventListener("abort", cut)
    const watch = setTimeout(cut, patience)
    let isOpen = false
    try {
      after ??= await source.newest(connection.signal)
      const response = await source.open(queryOf(options, after), connection.signal)
      if (!response.ok) throw refusalIn(response.status, await response.text())
      const current = await source.database()
      requireSameDatabase(database, current)
      database ??= current
      clearTimeout(watch)
      isOpen = true
      options.onConnection?.("open")
      for await (const event of read(response, connection.signal, cut)) {
        wait = firstWait
        // A proxy may repeat events.
        if (event.event_id <= after) continue
        after = event.event_id
        yield event
      }
      throw new HubError("The hub ended the event stream", { code: "UNREACHABLE", status: 0 })
    } catch (cause) {
      if (stopped.aborted) return
      const error = lost(cause)
      if (isFinal(error)) throw error
      options.onConnection?.("lost", error)
      if (!isOpen) wait = Math.min(lastWait, wait * 2)
      await sleep(wait / 2 + (Math.random() * wait) / 2, stopped)
    } finally {
      clearTimeout(watch)
      stopped.removeEventListener("abort", cut)
      connection.abort()
    }
  }
}

/**
 * True if an event has this name. Narrows the type of its data.
 *
 * @example
 * ```ts
 * for await (const event of hub.follow()) {
 *   if (isEvent(event, "message.created")) console.log(event.data.message.content_raw)
 * }
 * ```
 */
export const isEvent = <Name extends EventName>(
  event: { readonly name: string },
  name: Name
): event is AgentlipEvent<Name> => event.name === name
