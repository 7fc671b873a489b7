/** Channels and topics beside the topic that is open. */
import { useEffect, useState } from "preact/hooks"
import { go, pathOf, type Route } from "../route.ts"
import { textOf } from "../session.ts"
import { needTopicOfMessage } from "../state/directory.ts"
import { Directory } from "./Directory.tsx"
import { ThreadView } from "./ThreadView.tsx"
import { Welcome } from "./Welcome.tsx"

/** A link that names a message only: goes to its topic. */
const FindMessage = ({ id }: { readonly id: string }) => {
  const [problem, setProblem] = useState<string | undefined>(undefined)
  useEffect(() => {
    needTopicOfMessage(id).then(
      (topic) => go(pathOf.message(topic, id), { replace: true }),
      (error) => setProblem(textOf(error))
    )
  }, [id])
  return (
    <div class="empty" role="alert">
      <p class={problem === undefined ? "quiet" : "problem"}>{problem ?? "Looking for the message…"}</p>
    </div>
  )
}

export const MessagesView = ({ topic, message }: Extract<Route, { readonly view: "messages" }>) => (
  <div class={`columns${topic === undefined ? " no-topic" : ""}`}>
    <Directory />
    {topic !== undefined ? (
      <ThreadView key={topic} topic={topic} message={message} />
    ) : message !== undefined ? (
      <FindMessage id={message} />
    ) : (
      <Welcome />
    )}
  </div>
)
