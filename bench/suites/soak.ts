/** A host that has run for long: the heap and the resident memory of the host at each tenth of the runs. */
import { PluginRuntime } from "@agentlip/plugin-runtime"
import { Effect, Fiber } from "effect"
import { leaks, makeRuntime, runOf, spans, spins } from "../contenders/agentlip.ts"
import { smallTask } from "../contenders/task.ts"
import { type Figure, sleep, type Suite } from "../figures.ts"
import { growth } from "../stats.ts"
import { tables } from "../tables.ts"

const readings = 10
const callers = 64

export const soak: Suite = async (scale) => {
  const runtime = makeRuntime({})
  const plugins = await runtime.runPromise(PluginRuntime)
  const run = runOf(plugins, spans("thread"), smallTask)
  // Isolates that come and go beside: one that leaks until its memory ends it, one that is killed for spinning.
  const rogue = (spec: ReturnType<typeof leaks>, pause: number) =>
    Effect.forever(Effect.delay(Effect.exit(plugins.run(spec, smallTask.input)), pause))
  const rogues = runtime.runFork(
    Effect.all([rogue(leaks("thread"), 50), rogue(spins("thread", 50), 500)], { concurrency: 2 })
  )
  const each = Math.ceil(scale.soak / readings)
  const heap: Array<number> = []
  const resident: Array<number> = []
  for (let reading = 0; reading < readings; reading++) {
    let begun = 0
    const caller = Effect.whileLoop({ while: () => begun++ < each, body: () => run, step: () => {} })
    await runtime.runPromise(
      Effect.all(
        Array.from({ length: callers }, () => caller),
        { concurrency: "unbounded", discard: true }
      )
    )
    gc?.()
    // What the collector has let go of is given back to the system a moment later.
    await sleep(200)
    gc?.()
    const memory = process.memoryUsage()
    heap.push(memory.heapUsed / 2 ** 20)
    resident.push(memory.rss / 2 ** 20)
  }
  await runtime.runPromise(Fiber.interrupt(rogues))
  await runtime.dispose()
  const contender = `agentlip, ${scale.soak.toLocaleString("en-US")} runs`
  const less = { contender, better: "less" } as const
  return [
    { ...less, table: tables.soakHeap, unit: "x", rounds: [growth(heap)] },
    { ...less, table: tables.soakResident, unit: "x", rounds: [growth(resident)] },
    ...heap.map(
      (mebibytes, index): Figure => ({
        table: tables.soakReadings,
        contender: `${((index + 1) * each).toLocaleString("en-US")} runs: heap`,
        unit: "MiB",
        better: "less",
        rounds: [mebibytes]
      })
    ),
    ...resident.map(
      (mebibytes, index): Figure => ({
        table: tables.soakReadings,
        contender: `${((index + 1) * each).toLocaleString("en-US")} runs: resident`,
        unit: "MiB",
        better: "less",
        rounds: [mebibytes]
      })
    )
  ]
}
