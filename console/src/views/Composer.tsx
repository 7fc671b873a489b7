/** Posts to a topic. What is typed is kept as a draft until it is posted. */
import { useEffect, useRef, useState } from "preact/hooks"
import { chooseSender, sender } from "../sender.ts"
import type { Thread } from "../state/Thread.ts"
import { forget, recall, remember } from "../storage.ts"

/** The hub's bound, in bytes of UTF-8. */
const maxBytes = 65_536

const bytesOf = (text: string): number => new TextEncoder().encode(text).length

const Sender = () => {
  const [isOpen, setOpen] = useState(false)
  if (!isOpen && sender() !== "") {
    return (
      <p class="quiet sender">
        as <bdi>{sender()}</bdi>{" "}
        <button type="button" class="link" onClick={() => setOpen(true)}>
          change
        </button>
      </p>
    )
  }
  return (
    <label class="sender">
      Post as{" "}
      <input
        value={sender()}
        maxLength={256}
        autoComplete="nickname"
        onChange={(event) => {
          chooseSender(event.currentTarget.value.trim())
          setOpen(false)
        }}
      />
    </label>
  )
}

export const Composer = ({ thread }: { readonly thread: Thread }) => {
  const draft = `draft.${thread.topic}`
  const field = useRef<HTMLTextAreaElement>(null)
  const [text, setText] = useState(() => recall(draft) ?? "")
  /** At once: the page may be left before it is drawn again. */
  const write = (text: string): void => {
    if (text === "") forget(draft)
    else remember(draft, text)
    setText(text)
  }
  useEffect(() => {
    const { current } = field
    if (current === null) return
    current.style.height = "auto"
    current.style.height = `${current.scrollHeight + 2}px`
  }, [text])
  const tooLong = bytesOf(text) > maxBytes
  const canPostText = (text: string): boolean =>
    text.trim() !== "" && bytesOf(text) <= maxBytes && sender() !== ""
  const canPost = canPostText(text)
  /** Posts what is in the field: a key may come before the last change of it is drawn. */
  const post = (): void => {
    const written = field.current?.value ?? text
    if (!canPostText(written)) return
    write("")
    void thread.outbox.post(sender(), written)
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        post()
      }}
    >
      <textarea
        id="composer"
        ref={field}
        dir="auto"
        rows={1}
        value={text}
        placeholder="Write a message"
        aria-label="Write a message"
        aria-describedby="composer-help"
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
          event.preventDefault()
          post()
        }}
      />
      <button type="submit" class="primary" disabled={!canPost}>
        Post
      </button>
      <div class="below">
        <Sender />
        <p id="composer-help" class={tooLong ? "problem" : "quiet"}>
          {tooLong
            ? `${bytesOf(text).toLocaleString()} bytes: a message has at most ${maxBytes.toLocaleString()}`
            : "Enter posts, Shift-Enter starts a line"}
        </p>
      </div>
    </form>
  )
}
