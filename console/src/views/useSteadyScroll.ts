/** How the list of messages scrolls: it keeps its place, follows new messages at its end, and reads on near its ends. */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks"
import { markRead } from "../state/directory.ts"
import type { Thread } from "../state/Thread.ts"

/** How near to an end the list is when more is read. In pixels. */
const near = 800
/** The list follows new messages if it is this near to its end. */
const atEnd = 40

/** Keeps what the reader looks at in its place while the list changes around it. */
export const useSteadyScroll = (thread: Thread, target: string | undefined) => {
  const list = useRef<HTMLOListElement>(null)
  const place = useRef<{ readonly id: string; readonly top: number } | "end">("end")
  const shownTarget = useRef<string | undefined>(undefined)
  const remember = (): void => {
    const { current } = list
    if (current === null) return
    if (current.scrollHeight - current.scrollTop - current.clientHeight < atEnd) {
      place.current = "end"
      if (document.hasFocus()) markRead(thread.topic)
      return
    }
    const { top } = current.getBoundingClientRect()
    for (const element of current.querySelectorAll("li[id]")) {
      const rect = element.getBoundingClientRect()
      if (rect.bottom < top) continue
      place.current = { id: element.id, top: rect.top }
      return
    }
  }
  const readOn = (): void => {
    const { current } = list
    if (current === null) return
    if (current.scrollTop < near) void thread.older()
    if (current.scrollHeight - current.scrollTop - current.clientHeight < near) void thread.newer()
  }
  useLayoutEffect(() => {
    const { current } = list
    if (current === null) return
    const element = target === undefined ? null : document.getElementById(target)
    if (element !== null && shownTarget.current !== target) {
      shownTarget.current = target
      element.scrollIntoView({ block: "center" })
      element.focus({ preventScroll: true })
      remember()
    } else if (place.current === "end") {
      current.scrollTop = current.scrollHeight
    } else {
      const anchor = document.getElementById(place.current.id)
      if (anchor !== null) current.scrollTop += anchor.getBoundingClientRect().top - place.current.top
    }
    readOn()
  })
  useEffect(() => {
    if (place.current === "end" && !thread.hasNewer.value && document.hasFocus()) markRead(thread.topic)
  })
  useEffect(() => {
    const { current } = list
    if (current === null) return
    const observer = new ResizeObserver(() => {
      if (place.current === "end") current.scrollTop = current.scrollHeight
    })
    observer.observe(current)
    return () => observer.disconnect()
  }, [])
  return {
    list,
    onScroll: () => {
      remember()
      readOn()
    },
    toEnd: () => {
      place.current = "end"
    }
  }
}
