/** `agentlip attachment create` */
import { JsonObject } from "@agentlip/protocol"
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { textArgument, textOf } from "../../flags/Given.ts"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

const decodeObject = Schema.decodeUnknownEffect(Schema.fromJsonString(JsonObject))

export const attachmentCreate = Command.make(
  "create",
  {
    topic: topicArgument,
    value: textArgument("JSON", "The value, a JSON object"),
    kind: Flag.String("kind").pipe(
      Flag.withMetavar("KIND"),
      Flag.withDescription("The kind of the attachment, such as note")
    ),
    key: Flag.String("key").pipe(
      Flag.withMetavar("KEY"),
      Flag.withDescription("Tells attachments of one kind apart. Default: none"),
      Flag.optional
    ),
    dedupeKey: Flag.String("dedupe-key").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription(
        "An attachment with the same kind, key and dedupe key is not created again. Default: the value"
      ),
      Flag.optional
    ),
    source: Flag.String("source-message").pipe(
      Flag.withMetavar("MESSAGE"),
      Flag.withDescription("The id of the message that the value comes from. Default: none"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ topic, value, kind, key, dedupeKey, source }) {
    const hub = yield* connect
    const value_json = yield* Effect.mapError(Effect.flatMap(textOf(value), decodeObject), (error) =>
      error instanceof CommandError
        ? error
        : new CommandError({
            reason: `The value is not a JSON object: ${error.message}`,
            code: "INVALID_INPUT"
          })
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
    yield* show({ ...answer, deduplicated: answer.event_id === null }, () => answer.attachment.id)
  })
).pipe(
  Command.withDescription("Attach a value to a topic and print the attachment's id"),
  Command.withExamples([
    { command: `agentlip attachment create general/hello '{"text":"ship it"}' --kind decision` }
  ])
)
