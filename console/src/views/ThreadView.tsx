/** The messages of a topic, as a list that scrolls in both directions. */
import type { Message } from "@agentlip/protocol"
import { Fragment } from "preact"
import { useEffect, useMemo } from "preact/hooks"
import { pathOf, route } from "../route.ts"
import { isSignedIn } from "../session.ts"
import { channelOf, needTopics, topics } from "../state/directory.ts"
import { Thread } from "../state/Thread.ts"
import { Attachments } from "./Attachments.tsx"
import { Composer } from "./Composer.tsx"
import { MessageItem } from "./MessageItem.tsx"
import { Name } from "./Name.tsx"
import { dayOf } from "./Time.tsx"
import { UnsentItem } from "./UnsentItem.tsx"
import { useSteadyScroll } from "./useSteadyScroll.ts"

/** Messages of one sender within this time share a heading. */
const together = 5 * 60_000

const isContinued = (message: Message, before: Message | undefined): boolean =>
  before !== undefined &&
  before.sender === message.sender &&
  before.deleted_at === null &&
  Date.parse(message.created_at) - Date.parse(before.created_at) < together

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
        {thread.outbox.unsent.value.map((unsent) => (
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
