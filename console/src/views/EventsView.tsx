/** The newest events, as they happen. */
import type { JsonObject, LiveEvent } from "@agentlip/protocol"
import { Component } from "preact"
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { hub, textOf } from "../session.ts"
import { onEvents } from "../state/live.ts"
import { Name, Visible } from "./Name.tsx"
import { Time } from "./Time.tsx"
import { Options } from "./Options.tsx"

const first = 200
const maxShown = 500
const maxJson = 20_000

const isRecord = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isText = (value: unknown): value is string => typeof value === "string"

/** The words in an event that tell most. */
const summaryOf = ({ data }: LiveEvent): string => {
  const inner: object =
    [data["message"], data["attachment"], data["topic"], data["channel"]].find(isRecord) ?? data
  const fields = [
    "plugin_name",
    "code",
    "sender",
    "name",
    "title",
    "kind",
    "new_title",
    "new_content",
    "content_raw",
    "message",
    "reason"
  ]
  return fields
    .map((name) => (name in data ? data[name] : Reflect.get(inner, name)))
    .filter(isText)
    .map((text) => text.slice(0, 160))
    .join(" · ")
}

/** Never drawn again: events do not change. */
class EventItem extends Component<{ readonly event: LiveEvent }, { readonly isOpen: boolean }> {
  override state = { isOpen: false }

  override shouldComponentUpdate(_: unknown, { isOpen }: { readonly isOpen: boolean }): boolean {
    return isOpen !== this.state.isOpen
  }

  override render({ event }: { readonly event: LiveEvent }, { isOpen }: { readonly isOpen: boolean }) {
    const { event_id, ts, name, entity } = event
    return (
      <li>
        <details onToggle={(toggled) => this.setState({ isOpen: toggled.currentTarget.open })}>
          <summary>
            <span class="quiet">{event_id}</span> <Time iso={ts} form="exact" /> <code>{name}</code>{" "}
            <Name text={summaryOf(event)} />
          </summary>
          {isOpen && (
            <>
              {entity.type === "message" && (
                <p>
                  <a href={`/ui#${encodeURIComponent(entity.id)}`}>Go to the message</a>
                </p>
              )}
              <pre dir="ltr">
                <Visible text={JSON.stringify(event, null, 2).slice(0, maxJson)} />
              </pre>
            </>
          )}
        </details>
      </li>
    )
  }
}

const useEvents = (isPaused: boolean) => {
  const [events, setEvents] = useState<ReadonlyArray<LiveEvent>>([])
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const waiting = useRef<ReadonlyArray<LiveEvent>>([])
  const [count, setCount] = useState(0)
  const paused = useRef(isPaused)
  const add = (added: ReadonlyArray<LiveEvent>): void =>
    setEvents((known) => {
      const last = known[0]?.event_id ?? 0
      const news = added.filter(({ event_id }) => event_id > last).toReversed()
      return news.length === 0 ? known : [...news, ...known].slice(0, maxShown)
    })
  useEffect(() => {
    paused.current = isPaused
    if (isPaused) return
    add(waiting.current)
    waiting.current = []
    setCount(0)
  }, [isPaused])
  useEffect(() => {
    hub.events({ query: { tail: first } }).then(
      ({ events: page }) =>
        add(page.map(({ data_json, ...event }) => ({ type: "event", ...event, data: data_json }))),
      (error) => setProblem(textOf(error))
    )
    return onEvents((news) => {
      if (!paused.current) return add(news)
      waiting.current = [...waiting.current, ...news].slice(-maxShown)
      setCount(waiting.current.length)
    })
  }, [])
  return { events, problem, count }
}

export const EventsView = () => {
  const [isPaused, setPaused] = useState(false)
  const [name, setName] = useState("")
  const [text, setText] = useState("")
  const { events, problem, count } = useEvents(isPaused)
  const names = useMemo(() => [...new Set(events.map((event) => event.name))].sort(), [events])
  const shown = events.filter(
    (event) =>
      (name === "" || event.name === name) &&
      (text === "" || JSON.stringify(event).toLowerCase().includes(text.toLowerCase()))
  )
  return (
    <section class="page" aria-labelledby="view-title">
      <h1 id="view-title" tabIndex={-1}>
        Events
      </h1>
      <div class="row" role="group" aria-label="Filters">
        <label>
          name{" "}
          <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
            <option value="">all</option>
            <Options of={names} />
          </select>
        </label>
        <label>
          contains{" "}
          <input
            type="search"
            dir="auto"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? `Resume${count === 0 ? "" : ` (${count} new)`}` : "Pause"}
        </button>
      </div>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {shown.length === 0 && (
        <p class="quiet">
          No such events yet. The same list in a terminal: <code>agentlip listen --since 0</code>
        </p>
      )}
      <ol class="list events">
        {shown.map((event) => (
          <EventItem key={event.event_id} event={event} />
        ))}
      </ol>
    </section>
  )
}
