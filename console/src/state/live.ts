/** The hub's live events, in batches, however many there are. */
import type { LiveEvent } from "@agentlip/protocol"
import { effect, signal } from "@preact/signals"
import { access, hub, recheck } from "../session.ts"

export type Connection = "connecting" | "open" | "lost"

export const connection = signal<Connection>("connecting")

type Listener = (events: ReadonlyArray<LiveEvent>) => void

const listeners = new Set<Listener>()
let batch: Array<LiveEvent> = []

/** Milliseconds between two batches: the first event after a pause is delivered at once. */
const pause = 100
/** A hidden tab draws less often, but still often enough that events do not pile up. */
const pauseWhenHidden = 500
let delivered = -Infinity

const deliver = (): void => {
  delivered = performance.now()
  const events = batch
  batch = []
  for (const listener of listeners) listener(events)
}

const receive = (event: LiveEvent): void => {
  if (batch.push(event) > 1) return
  setTimeout(deliver, document.hidden ? pauseWhenHidden : Math.max(0, delivered + pause - performance.now()))
}

/** Calls `listener` with each batch of events. Returns a function that stops this. */
export const onEvents = (listener: Listener): (() => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Called each time the stream opens. Lists are read then, so nothing is missed in between. */
const openings = new Set<() => void>()
export const onOpen = (listener: () => void): (() => void) => {
  openings.add(listener)
  return () => openings.delete(listener)
}

const follow = async (signal: AbortSignal): Promise<void> => {
  const events = hub.follow({
    signal,
    onConnection: (state) => {
      const was = connection.value
      connection.value = state
      if (state !== "open") return
      // Another hub may be at this address now, without this session.
      if (was === "lost") void recheck()
      for (const listener of openings) listener()
    }
  })
  try {
    for await (const event of events) receive(event)
  } catch {
    // The hub refuses: the session has ended, or reads need one.
    connection.value = "lost"
    await recheck()
  }
}

/** Follows events whenever this page may read. */
export const startLive = (): void => {
  let stop: AbortController | undefined
  const wait = (): void => {
    if (access.value.state === "unreachable") setTimeout(() => void recheck(), 2_000)
  }
  let was: string | undefined
  effect(() => {
    const { state } = access.value
    wait()
    if (state === was) return
    was = state
    stop?.abort()
    stop = undefined
    if (state !== "signed-in" && state !== "reading") return
    stop = new AbortController()
    void follow(stop.signal)
  })
}
