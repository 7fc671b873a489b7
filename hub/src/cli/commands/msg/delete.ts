/** `agentlip msg delete` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { expectedVersion, personFlag, personOf, versionOf } from "../../flags/Given.ts"
import { messageArgument } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const msgDelete = Command.make(
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
    yield* show({ ...answer, deleted: true }, () => message)
  })
).pipe(
  Command.withDescription(
    "Delete a message: removes its text and findings. The event log and backups keep what it said; see " +
      'docs/operations.md, "What a deletion removes"'
  ),
  Command.withExamples([{ command: "agentlip msg delete 019a3f2b7c4d00001 --actor ada" }])
)
