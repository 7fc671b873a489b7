/** Asks a process in which heldMemory.ts is loaded what it holds. */
import { existsSync, readFileSync } from "node:fs"
import type { HeldMemory } from "./heldMemory.ts"

export interface HeldReadings {
  /** The reading follows a moment later, if the process still runs. */
  readonly ask: () => void
  /** The latest reading; `undefined` if there is none since the call before. */
  readonly take: () => HeldMemory | undefined
}

/** `file` is the one that the process's SOAK_HELD names. */
export const heldMemoryOf = (pid: number, file: string): HeldReadings => {
  let last = 0
  return {
    ask: () => {
      try {
        process.kill(pid, "SIGUSR2")
      } catch {
        // It has ended since the last sample; the soak tells of that itself.
      }
    },
    take: () => {
      if (!existsSync(file)) return undefined
      const held: HeldMemory = JSON.parse(readFileSync(file, "utf8"))
      if (held.number === last) return undefined
      last = held.number
      return held
    }
  }
}
