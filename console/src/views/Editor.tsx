/** Edits the text of a message in place. */
import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { textOf } from "../session.ts"
import { Alert } from "./Alert.tsx"

interface Props {
  readonly text: string
  readonly onSave: (text: string) => Promise<void>
  readonly onCancel: () => void
}

export const Editor = ({ text, onSave, onCancel }: Props) => {
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const field = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => field.current?.focus(), [])
  const save = (): void => {
    const next = field.current?.value ?? ""
    if (next === text) return onCancel()
    setProblem(undefined)
    onSave(next).catch((error) => setProblem(textOf(error)))
  }
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <textarea
        ref={field}
        dir="auto"
        rows={Math.min(12, text.split("\n").length + 1)}
        aria-label="Text of the message"
        defaultValue={text}
        onKeyDown={(event) => {
          if (event.isComposing) return
          if (event.key === "Escape") onCancel()
          if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault()
            save()
          }
        }}
      />
      <div class="row">
        <button type="submit" class="primary">
          Save
        </button>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
        <span class="quiet">Plugins run again on the new text.</span>
      </div>
      <Alert text={problem} />
    </form>
  )
}
