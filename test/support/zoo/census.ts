/** What a host has that a rogue could have added to. */
import * as fs from "node:fs"

const entries = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder) ? fs.readdirSync(folder) : []

/** Process ids of what this process has started; on Linux every thread has its own. */
const children = (): ReadonlyArray<string> =>
  entries("/proc/self/task").flatMap((thread) => {
    try {
      const text = fs.readFileSync(`/proc/self/task/${thread}/children`, "latin1").trim()
      return text === "" ? [] : text.split(" ")
    } catch {
      // The thread has ended meanwhile.
      return []
    }
  })

/** Threads, children, descriptors, and what holds the event loop. */
export const census = () => ({
  threads: entries("/proc/self/task").length,
  children: children(),
  descriptors: entries("/proc/self/fd").length,
  handles: process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker|Process/.test(name)).length
})

/** What prototypes of the host there are to pollute. */
export const prototypes = () =>
  [Object.prototype, Array.prototype, Function.prototype, String.prototype].map(
    (it) => Reflect.ownKeys(it).length
  )
