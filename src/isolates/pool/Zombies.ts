/** Isolates that do not die when killed: counts them per plugin, and lets the host's process exit despite them. */
import { Effect } from "effect"
import { getOrMake } from "../../getOrMake.ts"
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

/** The isolates of a level that did not die, by plugin. */
export class Zombies {
  readonly #level: string
  readonly #byPlugin = new Map<string, Set<Isolate>>()

  constructor(level: string) {
    this.#level = level
  }

  /** Records an isolate that did not die. */
  note(plugin: string, isolate: Isolate): Effect.Effect<void> {
    return Effect.suspend(() => {
      const noted = getOrMake(this.#byPlugin, plugin, () => new Set<Isolate>())
      if (noted.has(isolate)) return Effect.void
      noted.add(isolate)
      exitDespiteZombies()
      return Effect.logError(
        `An isolate (${this.#level}) of plugin "${plugin}" could not be stopped; it keeps a core and its memory until it dies or the process ends.`
      )
    })
  }

  /** How many killed isolates of a plugin are still there. One that died late no longer counts. */
  count(plugin: string): number {
    const noted = this.#byPlugin.get(plugin)
    if (noted === undefined) return 0
    for (const isolate of noted) if (!isolate.undead) noted.delete(isolate)
    if (noted.size === 0) this.#byPlugin.delete(plugin)
    return noted.size
  }
}
