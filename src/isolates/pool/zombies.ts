/** Isolates that do not die when killed: counts them per plugin, and lets the host's process exit despite them. */
import { Effect } from "effect"
import type { Isolate } from "../isolate/Isolate.ts"

let registered = false

const end = (code: number): void => {
  // Node would wait for the thread forever. Replacing the process does not wait, and keeps the exit code.
  if (process.platform !== "win32" && typeof process.execve === "function") {
    process.execve("/bin/sh", ["sh", "-c", `exit ${code}`], {})
  }
  process.kill(process.pid, "SIGKILL")
}

/**
 * Lets the host's process exit at once from now on. Listeners for `exit` that were added before still run; those
 * added afterwards do not.
 */
export const exitDespiteZombies = (): void => {
  if (registered) return
  registered = true
  process.once("exit", end)
}

export interface Zombies {
  /** Records an isolate that did not die. */
  readonly note: (plugin: string, isolate: Isolate) => Effect.Effect<void>
  /** How many killed isolates of a plugin are still there. One that died late no longer counts. */
  readonly count: (plugin: string) => number
}

export const makeZombies = (level: string): Zombies => {
  const byPlugin = new Map<string, Set<Isolate>>()
  return {
    note: (plugin, isolate) =>
      Effect.suspend(() => {
        const noted = byPlugin.get(plugin) ?? new Set()
        if (noted.has(isolate)) return Effect.void
        byPlugin.set(plugin, noted.add(isolate))
        exitDespiteZombies()
        return Effect.logError(
          `An isolate (${level}) of plugin "${plugin}" could not be stopped; it keeps a core and its memory until it dies or the process ends.`
        )
      }),
    count: (plugin) => {
      const noted = byPlugin.get(plugin)
      if (noted === undefined) return 0
      for (const isolate of noted) if (!isolate.undead) noted.delete(isolate)
      if (noted.size === 0) byPlugin.delete(plugin)
      return noted.size
    }
  }
}
