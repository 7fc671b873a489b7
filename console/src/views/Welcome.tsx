/** What the page says while no topic is open: in an empty hub, the way to the first message. */
import { useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { channels, directory, topics } from "../state/directory.ts"
import { Action } from "./Action.tsx"
import { Alert } from "./Alert.tsx"

/** Creates a channel with a topic, and opens the topic. */
const begin = async (): Promise<void> => {
  const { channel } = await changing(() => hub.createChannel({ payload: { name: "general" } }))
  const payload = { channel_id: channel.id, title: "hello" }
  const { topic } = await changing(() => hub.createTopic({ payload }))
  topics.value = new Map(topics.value).set(topic.id, topic)
  go(pathOf.topic(topic.id))
}

const First = ({ run }: { readonly run: () => Promise<undefined> }) => (
  <>
    <p>This hub is empty. A message belongs to a topic, and a topic to a channel.</p>
    {isSignedIn() && (
      <p>
        <Action class="primary" run={run}>
          Create the channel “general” with the topic “hello”
        </Action>
      </p>
    )}
  </>
)

const Choose = () => (
  <p>Choose a topic, or create one on the left. What plugins find in its messages is underlined in place.</p>
)

export const Welcome = () => {
  // Kept here: the new channel takes `First` away before its topic exists.
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const isReady = directory.value.state === "ready"
  const isEmpty = isReady && channels.value.length === 0
  const run = async (): Promise<undefined> => {
    setProblem(undefined)
    await begin().catch((error) => setProblem(textOf(error)))
    return undefined
  }
  return (
    <section class={`empty wide${isEmpty || problem !== undefined ? " needed" : ""}`}>
      <h1 id="view-title" tabIndex={-1}>
        Messages
      </h1>
      {isReady && (isEmpty ? <First run={run} /> : <Choose />)}
      <Alert text={problem} />
      <p class="quiet">
        From a terminal: <code>agentlip msg send general/hello "Hello" --create</code>
      </p>
    </section>
  )
}
