/** `agentlip msg`: what is said. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { expectedVersion, personFlag, personOf, textArgument, textOf, versionOf } from "../../flags/Given.ts"
import { connect } from "../../hub/HubClient.ts"
import { channelFlag, channelOf, topicArgument, topicFlag, topicIdOf } from "../../flags/Names.ts"
import { show, table } from "../../render/Output.ts"
import { tail } from "./tail.ts"

const messageArgument = Argument.String("MESSAGE").pipe(Argument.withDescription("The message's id"))
const contentArgument = textArgument("TEXT", "What it says")

const list = Command.make(
  "list",
  {
    topic: Flag.optional(topicFlag),
    channel: Flag.optional(channelFlag),
    limit: Flag.Int("limit").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("How many at most, 1 to 1000"),
      Flag.withDefault(50)
    ),
    before: Flag.String("before").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("Only those before this one, by its id"),
      Flag.optional
    ),
    after: Flag.String("after").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("Only those after this one, by its id"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ topic, channel, limit, before, after }) {
    if (Option.isNone(topic) && Option.isNone(channel)) {
      return yield* new CommandError({
        reason: "Of what? Say --topic TOPIC or --channel CHANNEL",
        code: "USAGE"
      })
    }
    const hub = yield* connect
    const query = {
      topic_id: Option.isSome(topic) ? yield* topicIdOf(hub, topic.value) : undefined,
      channel_id: Option.isSome(channel) ? (yield* channelOf(hub, channel.value)).id : undefined,
      limit,
      before_id: Option.getOrUndefined(before),
      after_id: Option.getOrUndefined(after)
    }
    const answer = yield* hub.ask((api) => api.reads.messages({ query }))
    yield* show(answer, () => [
      ...table(
        ["ID", "VERSION", "CREATED", "SENDER", "CONTENT"],
        answer.messages.map(({ id, version, created_at, sender, content_raw }) => [
          id,
          version,
          created_at,
          sender,
          content_raw
        ])
      ),
      ...(answer.has_more ? [`… more with --before ${answer.messages.at(-1)?.id}`] : [])
    ])
  })
).pipe(Command.withDescription("List the messages of a topic or a channel, the newest first"))

const send = Command.make(
  "send",
  { topic: topicArgument, content: contentArgument, sender: personFlag("sender", "Who says it") },
  Effect.fnUntraced(function* ({ topic, content, sender }) {
    const hub = yield* connect
    const payload = {
      topic_id: yield* topicIdOf(hub, topic),
      sender: yield* personOf(sender, "sender"),
      content_raw: yield* textOf(content)
    }
    const answer = yield* hub.ask((api) => api.writes.createMessage({ payload }))
    yield* show(answer, () => answer.message.id)
  })
).pipe(
  Command.withDescription("Post a message; prints its id"),
  Command.withExamples([
    { command: "agentlip msg send general/hello 'see https://example.com'" },
    { command: "git log -1 | agentlip msg send general/commits -", description: "What stdin holds" }
  ])
)

const edit = Command.make(
  "edit",
  { message: messageArgument, content: contentArgument, expectedVersion },
  Effect.fnUntraced(function* ({ message, content, expectedVersion }) {
    const { ask } = yield* connect
    const payload = {
      op: "edit" as const,
      content_raw: yield* textOf(content),
      ...versionOf(expectedVersion)
    }
    const answer = yield* ask((api) => api.writes.changeMessage({ params: { id: message }, payload }))
    yield* show(answer, () => message)
  })
).pipe(Command.withDescription("Change what a message says"))

const remove = Command.make(
  "delete",
  { message: messageArgument, actor: personFlag("actor", "Who deletes it"), expectedVersion },
  Effect.fnUntraced(function* ({ message, actor, expectedVersion }) {
    const { ask } = yield* connect
    const payload = {
      op: "delete" as const,
      actor: yield* personOf(actor, "actor"),
      ...versionOf(expectedVersion)
    }
    const answer = yield* ask((api) => api.writes.changeMessage({ params: { id: message }, payload }))
    yield* show(answer, () => message)
  })
).pipe(
  Command.withDescription(
    "Delete a message: removes its text and findings. The event log and backups keep what it said; see " +
      'docs/operations.md, "What a deletion removes"'
  ),
  Command.withExamples([{ command: "agentlip msg delete 019a3f2b7c4d00001 --actor ada" }])
)

const retopic = Command.make(
  "retopic",
  {
    message: messageArgument,
    topic: topicArgument,
    mode: Flag.Literals("mode", ["one", "later", "all"]).pipe(
      Flag.withDescription("This message alone, with the later ones of its topic, or with all of them"),
      Flag.withDefault("one")
    ),
    expectedVersion
  },
  Effect.fnUntraced(function* ({ message, topic, mode, expectedVersion }) {
    const hub = yield* connect
    const payload = {
      op: "move_topic" as const,
      to_topic_id: yield* topicIdOf(hub, topic),
      mode,
      ...versionOf(expectedVersion)
    }
    const answer = yield* hub.ask((api) => api.writes.changeMessage({ params: { id: message }, payload }))
    yield* show(answer, () => `moved: ${"affected_count" in answer ? answer.affected_count : 1}`)
  })
).pipe(Command.withDescription("Move messages to another topic of their channel"))

export const msg = Command.make("msg").pipe(
  Command.withDescription("Messages"),
  Command.withSubcommands([list, send, edit, remove, retopic, tail])
)
