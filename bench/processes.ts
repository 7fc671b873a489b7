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

export interface Cpu {
  /** Microseconds of all threads of the process. */
  readonly all: number
  /** Microseconds of its main thread. */
  readonly main: number
}

/** Processor time that a process has used since its start; NaN where the kernel does not say. */
export const cpuOf = (pid: number): Cpu => {
  const ofThread = (thread: number | string): number =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1_000
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return { all: threads.reduce((sum, thread) => sum + ofThread(thread), 0), main: ofThread(pid) }
  } catch {
    return { all: Number.NaN, main: Number.NaN }
  }
}
