/** A button that changes something in the hub, and says what came of it. */
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { changing, isSignedIn, textOf } from "../session.ts"

interface Props {
  /** Returns what to tell the reader, if anything. */
  readonly run: () => Promise<string | undefined>
  readonly children: ComponentChildren
  readonly class?: string
}

export const Action = ({ run, children, class: style = "" }: Props) => {
  const [state, setState] = useState<
    { readonly text: string; readonly failed: boolean } | "running" | undefined
  >(undefined)
  if (!isSignedIn()) return null
  const start = (): void => {
    setState("running")
    changing(run).then(
      (text) => setState(text === undefined ? undefined : { text, failed: false }),
      (error) => setState({ text: textOf(error), failed: true })
    )
  }
  return (
    <>
      <button type="button" class={style} disabled={state === "running"} onClick={start}>
        {children}
      </button>
      {typeof state === "object" && (
        <span class={state.failed ? "problem" : "quiet"} role={state.failed ? "alert" : "status"}>
          {state.text}
        </span>
      )}
    </>
  )
}
