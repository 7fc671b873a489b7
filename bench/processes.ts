/** Processes as the kernel shows them. */
import { readdirSync, readFileSync } from "node:fs"

/** A process and all that came of it; without those that ended while it was looked. */
export const family = (root: number): ReadonlyArray<number> => {
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]))
    } catch {
      // It has ended since.
    }
  }
  const ours = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || ours(parents.get(pid)))
  return [...parents.keys()].filter(ours)
}

export interface Held {
  readonly residentMiB: number
  readonly handles: number
  readonly threads: number
}

/** What a process holds; undefined where it has ended. */
export const held = (pid: number): Held | undefined => {
  try {
    const [, kibibytes = 0] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return {
      residentMiB: Number(kibibytes) / 1024,
      handles: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length
    }
  } catch {
    return undefined
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}
