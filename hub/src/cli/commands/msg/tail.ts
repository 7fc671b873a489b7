/** `agentlip msg tail` */
import { printable, printableLine } from "@agentlip/plugin-runtime/text"
import { type Finding, knownEvent, type LiveEvent, type Message } from "@agentlip/protocol"
import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { Json } from "../../flags/Globals.ts"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"
import { limitFlag } from "../../flags/Page.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { connect, type HubClient } from "../../hub/HubClient.ts"
import type { HubReader } from "../../hub/HubReader.ts"
import { messagesOf } from "../../hub/messagesOf.ts"
import { reader } from "../../hub/reader.ts"
import { follow, newest } from "../../hub/Live.ts"
import { attachmentLine, enrichmentLine } from "../../render/Findings.ts"
import { writeLines } from "../../render/Lines.ts"
import { jsonText, show } from "../../render/Output.ts"

/** Messages whose findings are fetched at the start, the newest ones. */
const withFindings = 100

/** Message texts that are kept to quote findings from. */
const keptTexts = 1_000

/** Indents the lines of a message after its first. */
const messageText = ({ created_at, sender, content_raw }: Message): string =>
  `${printableLine(`${created_at} ${sender}`)}: ${printable(content_raw.replaceAll("\r\n", "\n")).replaceAll("\n", "\n  ")}`

const findingText = (line: string): string => `  ↳ ${line}`

/** Formats the messages and events of a topic as lines. */
class Transcript {
  readonly #topic: string
  readonly #json: boolean
  readonly #texts = new Map<string, string>()

  constructor(topic: string, json: boolean) {
    this.#topic = topic
    this.#json = json
  }

  message(message: Message): ReadonlyArray<string> {
    this.#keep(message.id, message.content_raw)
    return [this.#json ? jsonText(message) : messageText(message)]
  }

  /** With `--json`, prints only messages, one document per line. `listen --json` prints every event. */
  event(live: LiveEvent): ReadonlyArray<string> {
    const event = knownEvent(live)
    switch (event?.name) {
      case "message.created":
        return event.data.message.topic_id === this.#topic ? this.message(event.data.message) : []
      case "message.edited":
        this.#keep(event.data.message_id, event.data.new_content)
        return []
      case "message.enriched": {
        const { message_id, plugin_name, enrichments } = event.data
        const text = this.#texts.get(message_id)
        return this.#json
          ? []
          : enrichments.map((found) => findingText(enrichmentLine(plugin_name, found, text)))
      }
      case "topic.attachment_added":
        return this.#json ? [] : [findingText(attachmentLine(event.data.attachment))]
      default:
        return []
    }
  }

  #keep(id: string, text: string): void {
    this.#texts.set(id, text)
    const [oldest] = this.#texts.keys()
    if (this.#texts.size > keptTexts && oldest !== undefined) this.#texts.delete(oldest)
  }
}

const findingLine = (finding: Finding, content: string): string =>
  findingText(
    finding.type === "enrichment"
      ? enrichmentLine(finding.plugin_name, finding, content)
      : attachmentLine(finding.attachment)
  )

/** The findings of messages, by message. Fetches one page, which holds about 1 MiB. */
const foundIn = Effect.fnUntraced(function* ({ ask }: HubReader, messages: ReadonlyArray<Message>) {
  if (messages.length === 0) return new Map<string, ReadonlyArray<Finding>>()
  const query = { message_id: messages.map(({ id }) => id) }
  const { findings } = yield* ask((api) => api.reads.findings({ query }))
  return Map.groupBy(findings, ({ message_id }) => message_id)
})

/** The newest messages of a topic, and their lines, oldest first. */
const newestOf = Effect.fnUntraced(function* (hub: HubReader, topic: string, limit: number) {
  const json = yield* Json
  const topic_id = yield* topicIdOf(hub, topic)
  const { messages } = yield* messagesOf(hub, { topic_id }, limit)
  const transcript = new Transcript(topic_id, json)
  // Newest first, so that a page that is full lacks those of the oldest messages.
  const found = yield* foundIn(hub, json ? [] : messages.slice(0, withFindings))
  const lines = messages
    .toReversed()
    .flatMap((message) => [
      ...transcript.message(message),
      ...(found.get(message.id) ?? []).map((finding) => findingLine(finding, message.content_raw))
    ])
  return { topic_id, messages, transcript, lines }
})

/** Prints lines, then new messages and findings as they arrive. */
const followFrom = Effect.fnUntraced(function* (
  hub: HubClient,
  after: number,
  { topic_id, messages, transcript, lines }: Effect.Success<ReturnType<typeof newestOf>>
) {
  // Messages posted between the requests for `after` and for the messages are in both. Print them once.
  const shown = new Set(messages.map(({ id }) => id))
  const isNew = ({ name, entity }: LiveEvent): boolean => name !== "message.created" || !shown.has(entity.id)
  const live = follow(hub, after, { topics: [topic_id] }).pipe(
    Stream.filter(isNew),
    Stream.flatMap((event) => Stream.fromIterable(transcript.event(event)))
  )
  yield* Stream.fromIterable(lines).pipe(Stream.concat(live), writeLines)
})

export const msgTail = Command.make(
  "tail",
  {
    topic: topicArgument,
    limit: limitFlag(50, "How many messages to print"),
    follows: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Print new messages too, as they arrive, until Ctrl-C. Default: print and end"),
      Flag.withDefault(false)
    ),
    ...readFlags
  },
  Effect.fnUntraced(function* ({ topic, limit, follows, ...options }) {
    if (!follows) {
      const { messages, lines } = yield* newestOf(yield* reader(options), topic, limit)
      return yield* show({ messages, count: messages.length }, () => lines)
    }
    if (options.offline) {
      return yield* new CommandError({
        reason: "--follow needs a running hub; leave --offline out",
        code: "USAGE"
      })
    }
    const hub = yield* connect
    const after = yield* newest(hub)
    return yield* followFrom(hub, after, yield* newestOf(hub, topic, limit))
  })
).pipe(
  Command.withDescription("Print the newest messages of a topic and what plugins found in them"),
  Command.withExamples([
    { command: "agentlip msg tail general/hello --limit 3" },
    { command: "agentlip msg tail general/hello --follow", description: "Go on with new messages" }
  ])
)
