/**
 * What eight idle isolates hold, in a process that does nothing else: `idle.ts thread | process | wasm | worker | node`
 * prints the MiB of one. Counted is the proportional set size of this process and its children, where the kernel says
 * it, so that what is shared counts once.
 */
import { type IsolationLevel, PluginRuntime } from "@agentlip/plugin-runtime"
import { readFileSync } from "node:fs"
import { makeRuntime, runOf, spans } from "./contenders/agentlip.ts"
import { bareProcess, bareThread } from "./contenders/bare.ts"
import type { Contender } from "./contenders/Contender.ts"
import { smallTask } from "./contenders/task.ts"
import { sleep } from "./figures.ts"
import { family } from "./processes.ts"

const isolates = 8

const proportional = (pid: number): number => {
  const [, kibibytes = Number.NaN] =
    /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? []
  return Number(kibibytes) / 1024
}

const held = async (): Promise<number> => {
  gc?.()
  await sleep(400)
  gc?.()
  return family(process.pid).reduce((sum, pid) => sum + proportional(pid), 0)
}

interface Herd {
  /** Makes so many more, each of which has answered once. */
  readonly grow: (count: number) => Promise<void>
  readonly close: () => Promise<unknown>
}

const bareHerd = (make: typeof bareThread): Herd => {
  const contenders: Array<Contender> = []
  return {
    grow: async (count) => {
      for (let index = 0; index < count; index++) {
        const contender = make(smallTask)
        contenders.push(contender)
        await contender.once()
      }
    },
    close: () => Promise.all(contenders.map((contender) => contender.close()))
  }
}

const ownHerd = async (level: IsolationLevel): Promise<Herd> => {
  const runtime = makeRuntime({ prepare: [level] })
  const plugins = await runtime.runPromise(PluginRuntime)
  let made = 0
  return {
    grow: async (count) => {
      for (let index = 0; index < count; index++) {
        await runtime.runPromise(runOf(plugins, spans(level, { name: `idle-${made++}` }), smallTask))
        // Spares are booted again: as many before as after.
        await sleep(100)
      }
    },
    close: () => runtime.dispose()
  }
}

const herdOf = (kind: string | undefined): Herd | Promise<Herd> => {
  switch (kind) {
    case "thread":
    case "process":
    case "wasm":
      return ownHerd(kind)
    case "worker":
      return bareHerd(bareThread)
    case "node":
      return bareHerd(bareProcess)
    default:
      throw new Error(`There is no kind of isolate called "${kind}"`)
  }
}

const herd = await herdOf(process.argv[2])
// What the first one brings with it is there once, however many follow.
await herd.grow(1)
const before = await held()
await herd.grow(isolates)
const after = await held()
process.stdout.write(`${(after - before) / isolates}\n`)
await herd.close()
