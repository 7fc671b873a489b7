/** Channels and topics, kept up to date by events, and what of them is unread. */
import { isEvent } from "@agentlip/client"
import type { Channel, LiveEvent, Topic } from "@agentlip/protocol"
import { computed, effect, signal } from "@preact/signals"
import { access, hub, textOf } from "../session.ts"
import { recall, remember } from "../storage.ts"
import { onEvents, onOpen } from "./live.ts"

export const channels = signal<ReadonlyArray<Channel>>([])
/** Topics by id. */
export const topics = signal<ReadonlyMap<string, Topic>>(new Map())
export const directory = signal<{
  readonly state: "loading" | "ready" | "failed"
  readonly problem?: string
}>({
  state: "loading"
})

/** The topics of a channel, latest activity first. */
export const topicsOf = (channel: string): ReadonlyArray<Topic> =>
  [...topics.value.values()]
    .filter(({ channel_id }) => channel_id === channel)
    .sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1))

export const channelOf = (id: string | undefined): Channel | undefined =>
  channels.value.find((channel) => channel.id === id)

const put = (...given: ReadonlyArray<Topic>): void => {
  const next = new Map(topics.value)
  for (const topic of given) next.set(topic.id, topic)
  topics.value = next
}

const pageSize = 200
/** More topics of one channel than this are found by search and links only. */
const maxPages = 5

const loadTopics = async (channel: string): Promise<void> => {
  for (let page = 0; page < maxPages; page++) {
    const found = await hub.topics({
      params: { id: channel },
      query: { limit: pageSize, offset: page * pageSize }
    })
    put(...found.topics)
    if (!found.has_more) return
  }
}

/** Topics of these channels are loaded, or being loaded. */
const loaded = new Set<string>()

/** Loads a channel's topics once. */
export const needTopics = (channel: string): void => {
  if (loaded.has(channel)) return
  loaded.add(channel)
  loadTopics(channel).catch(() => loaded.delete(channel))
}

const load = async (): Promise<void> => {
  try {
    const all: Array<Channel> = []
    for (let after: string | undefined; ; after = all.at(-1)?.id) {
      const page = await hub.channels({
        query: { limit: 1_000, ...(after === undefined ? {} : { after_id: after }) }
      })
      all.push(...page.channels)
      if (!page.has_more || page.channels.length === 0) break
    }
    channels.value = all.sort((one, other) => one.name.localeCompare(other.name))
    directory.value = { state: "ready" }
    const again = [...loaded]
    loaded.clear()
    for (const channel of new Set([...again, ...all.slice(0, 20).map(({ id }) => id)])) needTopics(channel)
  } catch (error) {
    directory.value = { state: "failed", problem: textOf(error) }
  }
}

/** Makes sure that a topic is known, such as one that a link names. Rejects if there is none. */
export const needTopicOfMessage = async (id: string): Promise<string> => {
  const { message } = await hub.message({ params: { id } })
  return message.topic_id
}

/** Events that are activity in their topics. */
const isActivity = ({ name }: LiveEvent): boolean =>
  ["message.created", "message.edited", "message.moved_topic"].includes(name)

const apply = (events: ReadonlyArray<LiveEvent>): void => {
  const changed = new Map<string, Topic>()
  const keep = (topic: Topic): void => void changed.set(topic.id, topic)
  const known = (id: string | null): Topic | undefined =>
    id === null ? undefined : (changed.get(id) ?? topics.value.get(id))
  for (const event of events) {
    if (isEvent(event, "channel.created")) {
      const { channel } = event.data
      if (channelOf(channel.id) === undefined) {
        channels.value = [...channels.value, channel].sort((one, other) => one.name.localeCompare(other.name))
        loaded.add(channel.id)
      }
    } else if (isEvent(event, "topic.created")) keep(event.data.topic)
    else if (isEvent(event, "topic.renamed")) {
      const topic = known(event.data.topic_id)
      if (topic !== undefined) keep({ ...topic, title: event.data.new_title, updated_at: event.ts })
    } else if (isActivity(event)) {
      for (const id of [event.scope.topic_id, event.scope.topic_id2]) {
        const topic = known(id)
        if (topic !== undefined && topic.updated_at < event.ts) keep({ ...topic, updated_at: event.ts })
      }
    }
  }
  if (changed.size > 0) put(...changed.values())
}

/** When each topic was last read here, by its id. */
const readAt = signal<{ readonly [topic: string]: string }>({})
/** Topics that were never opened here are unread if they are newer than this browser's first visit. */
let firstVisit = new Date().toISOString()

const restore = (): void => {
  try {
    const { first, topics } = JSON.parse(recall("read") ?? "")
    firstVisit = String(first)
    readAt.value = topics
  } catch {
    // The first visit.
    remember("read", JSON.stringify({ first: firstVisit, topics: {} }))
  }
}

export const isUnread = ({ id, updated_at }: Topic): boolean => updated_at > (readAt.value[id] ?? firstVisit)

export const unreadIn = (channel: string): boolean => topicsOf(channel).some(isUnread)

export const unreadCount = computed(() => [...topics.value.values()].filter(isUnread).length)

/** Remembers that a topic is read as it is now. */
export const markRead = (id: string): void => {
  const topic = topics.value.get(id)
  if (topic === undefined || readAt.peek()[id] === topic.updated_at || !isUnread(topic)) return
  readAt.value = { ...readAt.peek(), [id]: topic.updated_at }
  const latest = Object.entries(readAt.peek()).slice(-1_000)
  remember("read", JSON.stringify({ first: firstVisit, topics: Object.fromEntries(latest) }))
}

export const startDirectory = (): void => {
  restore()
  onEvents(apply)
  onOpen(() => void load())
  effect(() => {
    if (access.value.state === "signed-in" || access.value.state === "reading") void load()
  })
}
