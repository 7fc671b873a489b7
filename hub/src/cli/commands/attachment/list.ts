/** `agentlip attachment list` */
import type { Attachment } from "@agentlip/protocol"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show, table } from "../../render/Output.ts"

export const attachmentList = Command.make(
  "list",
  {
    topic: topicArgument,
    kind: Flag.String("kind").pipe(
      Flag.withMetavar("KIND"),
      Flag.withDescription("Only attachments of this kind. Default: all"),
      Flag.optional
    )
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
    yield* show({ attachments, count: attachments.length }, () =>
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
).pipe(
  Command.withDescription("List the attachments of a topic"),
  Command.withExamples([{ command: "agentlip attachment list general/hello --kind url" }])
)
