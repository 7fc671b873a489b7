/** Channels and their topics, latest activity first. */
import type { Channel } from "@agentlip/protocol"
import { useEffect, useState } from "preact/hooks"
import { go, pathOf, route } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { channels, directory, isUnread, needTopics, topics, topicsOf, unreadIn } from "../state/directory.ts"
import { Alert } from "./Alert.tsx"
import { Name } from "./Name.tsx"
import { Time } from "./Time.tsx"

interface NewProps {
  readonly what: string
  readonly maxLength: number
  readonly create: (name: string) => Promise<void>
}

const New = ({ what, maxLength, create }: NewProps) => {
  const [isOpen, setOpen] = useState(false)
  const [problem, setProblem] = useState<string | undefined>(undefined)
  if (!isSignedIn()) return null
  if (!isOpen) {
    return (
      <button type="button" class="link new" onClick={() => setOpen(true)}>
        + New {what}
      </button>
    )
  }
  return (
    <form
      class="new"
      onSubmit={(event) => {
        event.preventDefault()
        const name = new FormData(event.currentTarget).get("name")
        if (typeof name !== "string" || name.trim() === "") return
        create(name.trim()).then(
          () => setOpen(false),
          (error) => setProblem(textOf(error))
        )
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") setOpen(false)
      }}
    >
      <input
        name="name"
        dir="auto"
        maxLength={maxLength}
        aria-label={`Name of the new ${what}`}
        placeholder={`Name of the new ${what}`}
        ref={(input) => input?.focus()}
      />
      <button type="submit" class="primary">
        Create
      </button>
      <Alert text={problem} />
    </form>
  )
}

const createChannel = async (name: string): Promise<void> => {
  const { channel } = await changing(() => hub.createChannel({ payload: { name } }))
  go(pathOf.channel(channel.id))
}

const createTopic = async (channel_id: string, title: string): Promise<void> => {
  const { topic } = await changing(() => hub.createTopic({ payload: { channel_id, title } }))
  topics.value = new Map(topics.value).set(topic.id, topic)
  go(pathOf.topic(topic.id))
}

const ChannelItem = ({
  channel,
  isOpen,
  topic
}: {
  readonly channel: Channel
  readonly isOpen: boolean
  readonly topic: string | undefined
}) => {
  useEffect(() => {
    if (isOpen) needTopics(channel.id)
  }, [isOpen])
  const list = isOpen ? topicsOf(channel.id) : []
  return (
    <li>
      <a
        class="channel"
        href={pathOf.channel(channel.id)}
        aria-expanded={isOpen}
        title={channel.description ?? ""}
      >
        <span aria-hidden="true">#</span>
        <Name text={channel.name} />
        {!isOpen && unreadIn(channel.id) && <span class="unread" role="img" aria-label="unread" />}
      </a>
      {isOpen && (
        <ul class="topics">
          {list.map((one) => (
            <li key={one.id}>
              <a href={pathOf.topic(one.id)} aria-current={one.id === topic ? "page" : undefined}>
                <Name text={one.title} />
                {isUnread(one) && one.id !== topic && <span class="unread" role="img" aria-label="unread" />}
                <span class="quiet">
                  <Time iso={one.updated_at} form="brief" />
                </span>
              </a>
            </li>
          ))}
          {list.length === 0 && <li class="quiet">No topics yet.</li>}
          <li>
            <New what="topic" maxLength={200} create={(title) => createTopic(channel.id, title)} />
          </li>
        </ul>
      )}
    </li>
  )
}

export const Directory = () => {
  const at = route.value
  const topic = at.view === "messages" ? at.topic : undefined
  const named = at.view === "messages" ? at.channel : undefined
  const all = channels.value
  const open = named ?? (topic === undefined ? undefined : topics.value.get(topic)?.channel_id) ?? all[0]?.id
  return (
    <nav class="directory" aria-label="Channels and topics">
      {directory.value.state === "failed" && <p class="problem">{directory.value.problem}</p>}
      <ul>
        {all.map((channel) => (
          <ChannelItem key={channel.id} channel={channel} isOpen={channel.id === open} topic={topic} />
        ))}
      </ul>
      {all.length === 0 && directory.value.state === "ready" && (
        <p class="quiet">
          No channels yet. Create one here, or run <code>agentlip channel create general</code>.
        </p>
      )}
      <New what="channel" maxLength={100} create={createChannel} />
    </nav>
  )
}
