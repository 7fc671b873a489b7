/** `agentlip msg edit` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { expectedVersion, textArgument, textOf, versionOf } from "../../flags/Given.ts"
import { messageArgument } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const msgEdit = Command.make(
  "edit",
  { message: messageArgument, content: textArgument("TEXT", "The new text"), expectedVersion },
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
).pipe(
  Command.withDescription("Change the text of a message"),
  Command.withExamples([
    { command: "agentlip msg edit 019a3f2b7c4d00001 'see https://example.org' --expected-version 1" }
  ])
)
