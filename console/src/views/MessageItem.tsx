/** One message: who, when, what, what plugins found, and what its reader may do with it. */
import type { Message } from "@agentlip/protocol"
import { Component } from "preact"
import { useState } from "preact/hooks"
import { pathOf } from "../route.ts"
import { sender } from "../sender.ts"
import { isSignedIn, textOf } from "../session.ts"
import type { Found } from "../state/Findings.ts"
import type { Thread } from "../state/Thread.ts"
import { plain } from "../text/characters.ts"
import { Alert } from "./Alert.tsx"
import { Editor } from "./Editor.tsx"
import { MessageJobs } from "./MessageJobs.tsx"
import { Move } from "./Move.tsx"
import { Name } from "./Name.tsx"
import { Text } from "./Text.tsx"
import { Time } from "./Time.tsx"

interface Props {
  readonly thread: Thread
  readonly message: Message
  readonly found: Found
  readonly isTarget: boolean
  /** The message before is of the same sender, a moment ago. */
  readonly isContinued: boolean
}

const Deleted = ({ message: { deleted_by } }: { readonly message: Message }) => (
  <p class="quiet">
    deleted{deleted_by === null ? "" : " by "}
    {deleted_by !== null && <Name text={deleted_by} />}
  </p>
)

const Body = ({ thread, message, found }: Pick<Props, "thread" | "message" | "found">) => {
  const [mode, setMode] = useState<"read" | "edit" | "move" | "delete">("read")
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const close = (): void => {
    setMode("read")
    setProblem(undefined)
    document.getElementById(message.id)?.focus()
  }
  const remove = (): void => {
    thread.remove(message, sender() || "console").then(close, (error) => setProblem(textOf(error)))
  }
  if (mode === "edit") {
    return (
      <Editor
        text={message.content_raw}
        onSave={(text) => thread.edit(message, text).then(close)}
        onCancel={close}
      />
    )
  }
  return (
    <>
      <Text text={message.content_raw} enrichments={found.enrichments} />
      <MessageJobs
        message={message.id}
        jobs={found.jobs}
        onRetried={() => thread.findings.want([message.id])}
      />
      {isSignedIn() && mode === "read" && (
        <div class="actions">
          <button type="button" data-action="edit" onClick={() => setMode("edit")}>
            Edit
          </button>
          <button type="button" onClick={() => setMode("move")}>
            Move
          </button>
          <button type="button" data-action="delete" onClick={() => setMode("delete")}>
            Delete
          </button>
        </div>
      )}
      {mode === "move" && <Move message={message} onClose={close} />}
      {mode === "delete" && (
        <div class="confirm" role="group" aria-label="Delete this message?">
          <span>Delete this message for everyone?</span>
          <button type="button" class="danger" onClick={remove}>
            Delete
          </button>
          <button type="button" onClick={close}>
            Keep
          </button>
        </div>
      )}
      <Alert text={problem} />
    </>
  )
}

/** Drawn again only if its message, its findings or its place have changed. */
export class MessageItem extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const { message, found, isTarget, isContinued } = this.props
    return (
      next.message !== message ||
      next.found !== found ||
      next.isTarget !== isTarget ||
      next.isContinued !== isContinued
    )
  }

  override render({ thread, message, found, isTarget, isContinued }: Props) {
    const { id, created_at, edited_at, deleted_at, topic_id } = message
    return (
      <li
        id={id}
        class={`message${isTarget ? " target" : ""}${isContinued ? " continued" : ""}`}
        tabIndex={-1}
        aria-label={`Message of ${plain(message.sender)}`}
      >
        <header>
          <strong>
            <Name text={message.sender} />
          </strong>
          <a class="quiet" href={pathOf.message(topic_id, id)}>
            <span class="visually-hidden">Link to this message, </span>
            <Time iso={created_at} />
          </a>
          {edited_at !== null && deleted_at === null && <span class="quiet">edited</span>}
        </header>
        {deleted_at === null ? (
          <Body thread={thread} message={message} found={found} />
        ) : (
          <Deleted message={message} />
        )}
      </li>
    )
  }
}
