/** What the page says while no topic is open: in an empty hub, the way to the first message. */
import { useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { channels, directory, topics } from "../state/directory.ts"
import { Alert } from "./Alert.tsx"

/** Creates a channel with a topic, and opens the topic. */
const begin = async (): Promise<void> => {
  const { channel } = await changing(() => hub.createChannel({ payload: { name: "general" } }))
  const payload = { channel_id: channel.id, title: "hello" }
  const { topic } = await changing(() => hub.createTopic({ payload }))
  topics.value = new Map(topics.value).set(topic.id, topic)
  go(pathOf.topic(topic.id))
}

const First = () => {
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const start = (): void => {
    setProblem(undefined)
    begin().catch((error) => setProblem(textOf(error)))
  }
  return (
    <>
      <p>This hub is empty. A message belongs to a topic, and a topic to a channel.</p>
      {isSignedIn() && (
        <p>
          <button type="button" class="primary" onClick={start}>
            Create the channel “general” with the topic “hello”
          </button>
        </p>
      )}
      <Alert text={problem} />
    </>
  )
}

const Choose = () => (
  <p>Choose a topic, or create one on the left. What plugins find in its messages is underlined in place.</p>
)

export const Welcome = () => (
  <section class="empty wide">
    <h1 id="view-title" tabIndex={-1}>
      Messages
    </h1>
    {directory.value.state === "ready" && (channels.value.length === 0 ? <First /> : <Choose />)}
    <p class="quiet">
      From a terminal: <code>agentlip msg send general/hello "Hello" --create</code>
    </p>
  </section>
)
