/** The dialogs that keys open on every view. */
import { useLayoutEffect, useState } from "preact/hooks"
import { go } from "../route.ts"
import { Keys } from "./Keys.tsx"
import { Palette } from "./Palette.tsx"

/** Keys are letters while someone types. */
const isTyping = ({ target }: KeyboardEvent): boolean =>
  target instanceof HTMLInputElement ||
  target instanceof HTMLTextAreaElement ||
  target instanceof HTMLSelectElement

export const Dialogs = () => {
  const [open, setOpen] = useState<"palette" | "keys" | undefined>(undefined)
  useLayoutEffect(() => {
    const look = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault()
        setOpen("palette")
        return
      }
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return
      if (event.key === "?") setOpen("keys")
      if (event.key === "/") {
        event.preventDefault()
        const field = document.getElementById("search-text")
        if (field === null) go("/ui/search")
        else field.focus()
      }
      const composer = document.getElementById("composer")
      if (event.key === "c" && composer !== null) {
        event.preventDefault()
        composer.focus()
      }
    }
    addEventListener("keydown", look)
    return () => removeEventListener("keydown", look)
  }, [])
  const close = (): void => setOpen(undefined)
  return (
    <>
      <button type="button" class="link" aria-label="Go to…, Ctrl K" onClick={() => setOpen("palette")}>
        Go to…
      </button>
      <button type="button" class="link" aria-label="? Keyboard" onClick={() => setOpen("keys")}>
        ?
      </button>
      {open === "palette" && <Palette onClose={close} />}
      {open === "keys" && <Keys onClose={close} />}
    </>
  )
}
