/** What an idle isolate holds: each kind in a process of its own, whose memory nobody else has used. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { nameOf } from "../contenders/agentlip.ts"
import { alternate, type Suite } from "../figures.ts"
import { tables } from "../tables.ts"

const idle = fileURLToPath(new URL("../idle.ts", import.meta.url))

export const memory: Suite = async (scale, levels) => {
  // The kernel's own account of what is shared; elsewhere there is none to compare by.
  if (!existsSync("/proc/self/smaps_rollup")) return []
  const kinds = [
    ...levels.map((level) => ({ kind: level, name: nameOf(level) })),
    { kind: "worker", name: "bare new Worker" },
    { kind: "node", name: "bare spawn of node" }
  ]
  const measured = await alternate(
    scale,
    kinds,
    async ({ kind }) =>
      Number(execFileSync(process.execPath, [...process.execArgv, idle, kind], { encoding: "utf8" })),
    { most: scale.quick ? 1 : 2 }
  )
  return measured.map(([{ name }, rounds]) => ({
    table: tables.idle,
    contender: name,
    unit: "MiB",
    better: "less",
    rounds
  }))
}
