/** Moves a message, and those around it, to another topic of its channel. */
import type { Message } from "@agentlip/protocol"
import { useState } from "preact/hooks"
import { changing, hub, textOf } from "../session.ts"
import { topicsOf } from "../state/directory.ts"
import { plain } from "../text/characters.ts"
import { Alert } from "./Alert.tsx"
import { Options } from "./Options.tsx"

const modes = [
  ["one", "only this message"],
  ["later", "this message and those after it"],
  ["all", "all messages of this topic"]
] as const

type Mode = (typeof modes)[number][0]

const isMode = (text: unknown): text is Mode => modes.some(([mode]) => mode === text)

export const Move = ({ message, onClose }: { readonly message: Message; readonly onClose: () => void }) => {
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const others = topicsOf(message.channel_id).filter(({ id }) => id !== message.topic_id)
  if (others.length === 0) {
    return (
      <div class="confirm">
        <span class="quiet">This channel has no other topic. Create one on the left.</span>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    )
  }
  const move = async (form: HTMLFormElement): Promise<void> => {
    const given = new FormData(form)
    const [topic, mode] = [given.get("topic"), given.get("mode")]
    if (typeof topic !== "string" || !isMode(mode)) return
    try {
      await changing(() =>
        hub.changeMessage({
          params: { id: message.id },
          payload: { op: "move_topic", to_topic_id: topic, mode, expected_version: message.version }
        })
      )
      onClose()
    } catch (error) {
      setProblem(textOf(error))
    }
  }
  return (
    <form
      class="confirm"
      onSubmit={(event) => {
        event.preventDefault()
        void move(event.currentTarget)
      }}
    >
      <label>
        Move to{" "}
        <select name="topic">
          <Options of={others.map(({ id, title }) => [id, plain(title)])} />
        </select>
      </label>
      <label>
        what{" "}
        <select name="mode">
          <Options of={modes} />
        </select>
      </label>
      <button type="submit" class="primary">
        Move
      </button>
      <button type="button" onClick={onClose}>
        Cancel
      </button>
      <Alert text={problem} />
    </form>
  )
}
