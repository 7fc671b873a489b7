/** Reads something now and again while a view shows it. */
import { useEffect, useRef, useState } from "preact/hooks"
import { textOf } from "../session.ts"
import { onEvents } from "../state/live.ts"

export interface Polled<Value> {
  readonly value: Value | undefined
  /** Why the last attempt failed, while `value` is what was read before. */
  readonly problem: string | undefined
  readonly again: () => void
}

/** Hidden tabs read nothing. Events of plugins are news too. `key` tells what is read. */
export const usePolled = <Value>(
  read: () => Promise<Value>,
  key: string,
  everyMillis = 2_000
): Polled<Value> => {
  const [state, setState] = useState<Omit<Polled<Value>, "again">>({ value: undefined, problem: undefined })
  const latest = useRef(read)
  latest.current = read
  const again = useRef<() => void>(() => {})
  useEffect(() => {
    let isOver = false
    let isReading = false
    const look = (): void => {
      if (isReading) return
      isReading = true
      latest.current().then(
        (value) => {
          isReading = false
          if (!isOver) setState({ value, problem: undefined })
        },
        (error) => {
          isReading = false
          if (!isOver) setState(({ value }) => ({ value, problem: textOf(error) }))
        }
      )
    }
    again.current = look
    setState({ value: undefined, problem: undefined })
    look()
    const timer = setInterval(() => !document.hidden && look(), everyMillis)
    const stop = onEvents((events) => {
      if (events.some(({ name }) => name.startsWith("plugin.circuit"))) look()
    })
    return () => {
      isOver = true
      clearInterval(timer)
      stop()
    }
  }, [key, everyMillis])
  return { ...state, again: () => again.current() }
}
