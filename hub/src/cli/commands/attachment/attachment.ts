/** `agentlip attachment`: facts of a topic. */
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Attachment, JsonObject } from "@agentlip/protocol"
import { CommandError } from "../../CommandError.ts"
import { textArgument, textOf } from "../../flags/Given.ts"
import { connect } from "../../hub/HubClient.ts"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"
import { show, table } from "../../render/Output.ts"

const decodeObject = Schema.decodeUnknownEffect(Schema.fromJsonString(JsonObject))

const list = Command.make(
  "list",
  {
    topic: topicArgument,
    kind: Flag.String("kind").pipe(Flag.withDescription("Only those of this kind"), Flag.optional)
  },
  Effect.fnUntraced(function* ({ topic, kind }) {
    const hub = yield* connect
    const id = yield* topicIdOf(hub, topic)
    const attachments: Array<Attachment> = []
    for (let more = true; more; ) {
      const query = { kind: Option.getOrUndefined(kind), after_id: attachments.at(-1)?.id }
      const page = yield* hub.ask((api) => api.reads.attachments({ params: { id }, query }))
      attachments.push(...page.attachments)
      more = page.has_more
    }
    yield* show({ attachments }, () =>
      table(
        ["ID", "CREATED", "KIND", "KEY", "VALUE"],
        attachments.map(({ id, created_at, kind, key, value_json }) => [
          id,
          created_at,
          kind,
          key,
          JSON.stringify(value_json)
        ])
      )
    )
  })
).pipe(Command.withDescription("List what is attached to a topic"))

const create = Command.make(
  "create",
  {
    topic: topicArgument,
    value: textArgument("JSON", "The fact, a JSON object"),
    kind: Flag.String("kind").pipe(Flag.withDescription("What kind of fact it is")),
    key: Flag.String("key").pipe(Flag.withDescription("Tells facts of one kind apart"), Flag.optional),
    dedupeKey: Flag.String("dedupe-key").pipe(
      Flag.withDescription("Facts of one kind and key with the same are one. Default: the value itself"),
      Flag.optional
    ),
    source: Flag.String("source-message").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("The id of the message that it is from"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ topic, value, kind, key, dedupeKey, source }) {
    const hub = yield* connect
    const value_json = yield* Effect.mapError(Effect.flatMap(textOf(value), decodeObject), (error) =>
      error instanceof CommandError
        ? error
        : new CommandError({ reason: `The value is no JSON object: ${error.message}`, code: "INVALID_INPUT" })
    )
    const payload = {
      kind,
      value_json,
      key: Option.getOrUndefined(key),
      dedupe_key: Option.getOrUndefined(dedupeKey),
      source_message_id: Option.getOrUndefined(source)
    }
    const id = yield* topicIdOf(hub, topic)
    const answer = yield* hub.ask((api) => api.writes.createAttachment({ params: { id }, payload }))
    yield* show(answer, () => answer.attachment.id)
  })
).pipe(Command.withDescription("Attach a fact to a topic; one that is there already stays the only one"))

export const attachment = Command.make("attachment").pipe(
  Command.withDescription("Facts that are attached to topics"),
  Command.withSubcommands([list, create])
)
