/**
 * Spreads the starts of isolates over turns of the event loop. Starting a process blocks the thread for milliseconds. If
 * many start at once, other work gets a turn in between.
 */
import { Effect } from "effect"

let isTaken = false
const waiting: Array<() => void> = []

const passOn = (): void => {
  const begin = waiting.shift()
  if (begin === undefined) {
    isTaken = false
    return
  }
  setImmediate(passOn)
  begin()
}

/** Waits for a turn of the event loop in which no other isolate has started. First come, first served. */
export const startTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const begin = (): void => resume(Effect.void)
  if (!isTaken) {
    isTaken = true
    setImmediate(passOn)
    return begin()
  }
  waiting.push(begin)
  return Effect.sync(() => {
    const index = waiting.indexOf(begin)
    if (index >= 0) waiting.splice(index, 1)
  })
})
