/** `agentlip msg send` */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { personFlag, personOf, textArgument, textOf } from "../../flags/Given.ts"
import { createdTopicIdOf, topicArgument, topicIdOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show } from "../../render/Output.ts"

export const msgSend = Command.make(
  "send",
  {
    topic: topicArgument,
    content: textArgument("TEXT", "The text of the message"),
    sender: personFlag("sender", "Who sends it"),
    create: Flag.Boolean("create").pipe(
      Flag.withDescription("Create the channel and the topic if they are missing. Default: fail"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ topic, content, sender, create }) {
    const hub = yield* connect
    const payload = {
      sender: yield* personOf(sender, "sender"),
      content_raw: yield* textOf(content),
      topic_id: yield* create ? createdTopicIdOf(hub, topic) : topicIdOf(hub, topic)
    }
    const answer = yield* hub.ask((api) => api.writes.createMessage({ payload }))
    yield* show({ ...answer, message_id: answer.message.id }, () => answer.message.id)
  })
).pipe(
  Command.withDescription("Post a message and print its id"),
  Command.withExamples([
    { command: "agentlip msg send general/hello 'see https://example.com' --create" },
    { command: "git log -1 | agentlip msg send general/commits -", description: "Post what stdin holds" }
  ])
)
