/** Reads a process's memory and processor time from Linux. Other systems do not have these files. */
import * as fs from "node:fs"

/** Constants in what Linux shows to programs. */
const pageSize = 4_096
const ticksPerSecond = 100

const read = (file: string): string | undefined => {
  try {
    return fs.readFileSync(file, "latin1")
  } catch {
    // The process is gone, or the system is not Linux.
    return undefined
  }
}

/** The process itself, or the innermost child that a sandbox has started. */
const innermost = (pid: number): number => {
  const children = read(`/proc/${pid}/task/${pid}/children`)?.trim().split(" ") ?? []
  // The launcher's watcher is a child too, without children. The sandbox's child comes after it.
  const last = Number(children.at(-1))
  const name = read(`/proc/${last}/comm`)?.trim()
  return last > 0 && name !== "sh" ? innermost(last) : pid
}

/** The private bytes of a process, and the processor time of all its threads in milliseconds. */
export const usageOf = (
  pid: number | undefined
): { readonly memory: number; readonly cpu: number } | undefined => {
  if (pid === undefined) return undefined
  const it = innermost(pid)
  const [, resident, shared] = read(`/proc/${it}/statm`)?.split(" ").map(Number) ?? []
  // The name, in brackets, may contain anything. The times are at fixed places after it.
  const fields = read(`/proc/${it}/stat`)
    ?.replace(/^.*\) /s, "")
    .split(" ")
    .map(Number)
  const [user, system] = fields?.slice(11, 13) ?? []
  if (resident === undefined || shared === undefined || user === undefined || system === undefined) {
    return undefined
  }
  return { memory: (resident - shared) * pageSize, cpu: ((user + system) * 1000) / ticksPerSecond }
}
