/** What `ps` tells of processes, on any Unix. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const execute = promisify(execFile)

interface Process {
  readonly pid: number
  readonly parent: number
  readonly kibibytes: number
}

const list = async (): Promise<ReadonlyArray<Process>> => {
  const { stdout } = await execute("ps", ["-A", "-o", "pid=", "-o", "ppid=", "-o", "rss=", "-o", "stat="])
  return (
    stdout
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      // A zombie has ended, and waits for nothing but to be taken note of.
      .filter(([, , , state]) => state?.startsWith("Z") === false)
      .map(([pid, parent, kibibytes]) => ({
        pid: Number(pid),
        parent: Number(parent),
        kibibytes: Number(kibibytes)
      }))
  )
}

export interface Family {
  /** MiB that the process itself has in memory. */
  readonly memory: number
  /** All that it has started, and they in turn. */
  readonly descendants: ReadonlyArray<number>
}

export const familyOf = async (root: number): Promise<Family> => {
  const all = await list()
  const below = (parent: number): Array<number> =>
    all.filter((one) => one.parent === parent).flatMap(({ pid }) => [pid, ...below(pid)])
  return {
    memory: (all.find(({ pid }) => pid === root)?.kibibytes ?? 0) / 1024,
    descendants: below(root)
  }
}

/** Those that are still there. */
export const alive = async (pids: ReadonlySet<number>): Promise<ReadonlyArray<number>> =>
  (await list()).flatMap(({ pid }) => (pids.has(pid) ? [pid] : []))
