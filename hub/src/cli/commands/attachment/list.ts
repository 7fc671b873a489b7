/** `agentlip attachment list` */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { topicArgument, topicIdOf } from "../../flags/Names.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { attachmentsOf } from "../../hub/findings.ts"
import { reader } from "../../hub/reader.ts"
import { show, table } from "../../render/Output.ts"

export const attachmentList = Command.make(
  "list",
  {
    topic: topicArgument,
    kind: Flag.String("kind").pipe(
      Flag.withMetavar("KIND"),
      Flag.withDescription("Only attachments of this kind. Default: all"),
      Flag.optional
    ),
    ...readFlags
  },
  Effect.fnUntraced(function* ({ topic, kind, ...options }) {
    const hub = yield* reader(options)
    const id = yield* topicIdOf(hub, topic)
    const attachments = yield* attachmentsOf(hub, id, Option.getOrUndefined(kind))
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
