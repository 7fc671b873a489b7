/** The messages of a topic, as a list that scrolls in both directions. */
import type { Message } from "@agentlip/protocol"
import { Fragment } from "preact"
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks"
import { pathOf, route } from "../route.ts"
import { isSignedIn } from "../session.ts"
import { channelOf, markRead, needTopics, topics } from "../state/directory.ts"
import { Thread, type Unsent } from "../state/Thread.ts"
import { Attachments } from "./Attachments.tsx"
import { Composer } from "./Composer.tsx"
import { MessageItem } from "./MessageItem.tsx"
import { Name, Visible } from "./Name.tsx"
import { dayOf } from "./Time.tsx"

/** How near to an end the list is when more is read. In pixels. */
const near = 800
/** The list follows new messages if it is this near to its end. */
const atEnd = 40
/** Messages of one sender within this time share a heading. */
const together = 5 * 60_000

const isContinued = (message: Message, before: Message | undefined): boolean =>
  before !== undefined &&
  before.sender === message.sender &&
  before.deleted_at === null &&
  Date.parse(message.created_at) - Date.parse(before.created_at) < together

const UnsentItem = ({ thread, unsent }: { readonly thread: Thread; readonly unsent: Unsent }) => (
  <li class="message unsent">
    <header>
      <strong>
        <Name text={unsent.sender} />
      </strong>
      <span class="quiet">{unsent.problem === undefined ? "sending…" : "not sent"}</span>
    </header>
    <p class="text" dir="auto">
      <Visible text={unsent.content_raw.slice(0, 3_000)} />
    </p>
    {unsent.problem !== undefined && (
      <div class="confirm" role="alert">
        <span class="problem">{unsent.problem}</span>
        <button type="button" onClick={() => void thread.retry(unsent)}>
          Send again
        </button>
        <button type="button" onClick={() => thread.discard(unsent)}>
          Discard
        </button>
      </div>
    )}
  </li>
)

/** Keeps what the reader looks at in its place while the list changes around it. */
const useSteadyScroll = (thread: Thread, target: string | undefined) => {
  const list = useRef<HTMLOListElement>(null)
  const place = useRef<{ readonly id: string; readonly top: number } | "end">("end")
  const shownTarget = useRef<string | undefined>(undefined)
  const remember = (): void => {
    const { current } = list
    if (current === null) return
    if (current.scrollHeight - current.scrollTop - current.clientHeight < atEnd) {
      place.current = "end"
      if (document.hasFocus()) markRead(thread.topic)
      return
    }
    const { top } = current.getBoundingClientRect()
    for (const element of current.querySelectorAll("li[id]")) {
      const rect = element.getBoundingClientRect()
      if (rect.bottom < top) continue
      place.current = { id: element.id, top: rect.top }
      return
    }
  }
  const readOn = (): void => {
    const { current } = list
    if (current === null) return
    if (current.scrollTop < near) void thread.older()
    if (current.scrollHeight - current.scrollTop - current.clientHeight < near) void thread.newer()
  }
  useLayoutEffect(() => {
    const { current } = list
    if (current === null) return
    const element = target === undefined ? null : document.getElementById(target)
    if (element !== null && shownTarget.current !== target) {
      shownTarget.current = target
      element.scrollIntoView({ block: "center" })
      element.focus({ preventScroll: true })
      remember()
    } else if (place.current === "end") {
      current.scrollTop = current.scrollHeight
    } else {
      const anchor = document.getElementById(place.current.id)
      if (anchor !== null) current.scrollTop += anchor.getBoundingClientRect().top - place.current.top
    }
    readOn()
  })
  useEffect(() => {
    if (place.current === "end" && !thread.hasNewer.value && document.hasFocus()) markRead(thread.topic)
  })
  useEffect(() => {
    const { current } = list
    if (current === null) return
    const observer = new ResizeObserver(() => {
      if (place.current === "end") current.scrollTop = current.scrollHeight
    })
    observer.observe(current)
    return () => observer.disconnect()
  }, [])
  return {
    list,
    onScroll: () => {
      remember()
      readOn()
    },
    toEnd: () => {
      place.current = "end"
    }
  }
}

const moveFocus = (event: KeyboardEvent): void => {
  const by =
    event.key === "j" || event.key === "ArrowDown" ? 1 : event.key === "k" || event.key === "ArrowUp" ? -1 : 0
  const { target, currentTarget } = event
  if (!(target instanceof HTMLElement) || !(currentTarget instanceof HTMLElement)) return
  const item = target.closest("li")
  if (target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === "e" && item !== null)
    item.querySelector<HTMLButtonElement>('[data-action="edit"]')?.click()
  if (by === 0) return
  const items = [...currentTarget.querySelectorAll<HTMLElement>("li[id]")]
  const index = item === null ? items.length : items.indexOf(item)
  const next = items[Math.max(0, Math.min(items.length - 1, index + by))]
  event.preventDefault()
  next?.focus()
  next?.scrollIntoView({ block: "nearest" })
}

const Messages = ({ thread, target }: { readonly thread: Thread; readonly target: string | undefined }) => {
  const { list, onScroll, toEnd } = useSteadyScroll(thread, target)
  const messages = thread.messages.value
  const found = thread.findings.all.value
  return (
    <div class="messages">
      <ol ref={list} onScroll={onScroll} onKeyDown={moveFocus} tabIndex={0} aria-label="Messages">
        {thread.hasOlder.value ? (
          <li class="quiet end">Loading older messages…</li>
        ) : (
          thread.state.value === "ready" &&
          messages.length > 0 && <li class="quiet end">The topic starts here.</li>
        )}
        {messages.map((message, index) => {
          const before = messages[index - 1]
          const day = dayOf(message.created_at)
          const isNewDay = before === undefined || dayOf(before.created_at) !== day
          return (
            <Fragment key={message.id}>
              {isNewDay && <li class="day">{day}</li>}
              <MessageItem
                thread={thread}
                message={message}
                found={found.get(message.id) ?? thread.findings.of(message.id)}
                isTarget={message.id === target}
                isContinued={!isNewDay && isContinued(message, before)}
              />
            </Fragment>
          )
        })}
        {thread.unsent.value.map((unsent) => (
          <UnsentItem key={unsent.key} thread={thread} unsent={unsent} />
        ))}
      </ol>
      {thread.hasNewer.value && (
        <button
          type="button"
          class="to-end primary"
          onClick={() => {
            toEnd()
            void thread.load()
          }}
        >
          Newest messages ↓
        </button>
      )}
      {thread.isEmpty.value && (
        <div class="empty">
          <p>Nothing was said here yet.</p>
          <p>
            Write the first message below, or from a terminal:{" "}
            <code>agentlip msg send {thread.topic} "Hello"</code>
          </p>
        </div>
      )}
      {thread.state.value === "failed" && (
        <div class="empty" role="alert">
          <p class="problem">{thread.problem.value}</p>
          <button type="button" onClick={() => void thread.load()}>
            Try again
          </button>
        </div>
      )}
    </div>
  )
}

export const ThreadView = ({
  topic,
  message
}: {
  readonly topic: string
  readonly message: string | undefined
}) => {
  const thread = useMemo(() => new Thread(topic), [topic])
  useEffect(() => () => thread.close(), [thread])
  useEffect(() => {
    const isShown = message !== undefined && thread.messages.peek().some(({ id }) => id === message)
    if (!isShown && (message !== undefined || thread.state.peek() === "loading")) void thread.load(message)
  }, [thread, message])
  const known = topics.value.get(topic)
  const channelId = known?.channel_id ?? thread.messages.value[0]?.channel_id
  const channel = channelOf(channelId)
  useEffect(() => {
    if (channelId !== undefined) needTopics(channelId)
  }, [channelId])
  return (
    <>
      <section class="thread" aria-labelledby="view-title">
        <header class="view-head">
          <a
            class="back"
            href={channel === undefined ? "/ui" : pathOf.channel(channel.id)}
            aria-label="All topics"
          >
            ←
          </a>
          <h1 id="view-title" tabIndex={-1}>
            {channel !== undefined && (
              <span class="quiet">
                <Name text={channel.name} /> /{" "}
              </span>
            )}
            <Name text={known?.title ?? "Topic"} />
          </h1>
        </header>
        <Messages
          key={topic}
          thread={thread}
          target={route.value.view === "messages" ? message : undefined}
        />
        {isSignedIn() ? (
          <Composer key={topic} thread={thread} />
        ) : (
          <p class="composer quiet">
            You can read here. To post, run <code>agentlip open</code> in a terminal.
          </p>
        )}
      </section>
      <Attachments thread={thread} />
    </>
  )
}
