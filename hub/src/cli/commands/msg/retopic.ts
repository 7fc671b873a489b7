/** `agentlip msg retopic` */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { expectedVersion, versionOf } from "../../flags/Given.ts"
import { messageArgument, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const msgRetopic = Command.make(
  "retopic",
  {
    message: messageArgument,
    topic: topicArgument,
    mode: Flag.Literals("mode", ["one", "later", "all"]).pipe(
      Flag.withDescription(
        "Move this message only, also the later ones of its topic, or all messages of its topic. Default: one"
      ),
      Flag.withDefault("one")
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Confirm --mode all, which needs it"),
      Flag.withDefault(false)
    ),
    expectedVersion
  },
  Effect.fnUntraced(function* ({ message, topic, mode, force, expectedVersion }) {
    if (mode === "all" && !force) {
      return yield* new CommandError({
        reason: "--mode all moves every message of the topic; pass --force too",
        code: "INVALID_INPUT"
      })
    }
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
).pipe(
  Command.withDescription("Move messages to another topic of their channel"),
  Command.withExamples([{ command: "agentlip msg retopic 019a3f2b7c4d00001 general/other --mode later" }])
)
