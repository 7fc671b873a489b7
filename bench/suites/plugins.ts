/** Many configured plugins: how many runs a second they have together, what they hold, what a hot one notices. */
import { PluginRuntime } from "@agentlip/plugin-runtime"
import { Effect, Fiber } from "effect"
import { callsOf, makeRuntime, nameOf, runOf, type Spec, spans, timesOf } from "../contenders/agentlip.ts"
import { bareThreads } from "../contenders/bare.ts"
import { type Contender, costOf, throughput } from "../contenders/Contender.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, type Figure, type Scale, type Suite } from "../figures.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

const callers = 64
/** Between two calls of a cold plugin, in milliseconds. */
const coldPause = 20

type Pool = Pick<Contender, "name" | "calls" | "close">

const makeSpecs = (count: number): ReadonlyArray<Spec> =>
  Array.from({ length: count }, (_, index) => spans("thread", { name: `spans-${index}` }))

/** So many plugins of one host, called in turn. */
const ours = async (count: number): Promise<Pool> => {
  const runtime = makeRuntime({})
  const plugins = await runtime.runPromise(PluginRuntime)
  const runs = makeSpecs(count).map((spec) => runOf(plugins, spec, smallTask))
  await runtime.runPromise(Effect.all(runs, { concurrency: 4, discard: true }))
  let turn = 0
  return {
    name: `${nameOf("thread")}, ${count} ${count === 1 ? "plugin" : "plugins"}`,
    calls: (callers, millis) =>
      runtime.runPromise(callsOf(callers, millis, () => runs[turn++ % count] ?? Effect.void)),
    close: () => runtime.dispose()
  }
}

const bare = async (count: number): Promise<Pool> => {
  const contender = bareThreads(smallTask, count)
  for (let worker = 0; worker < count; worker++) await contender.once()
  return contender
}

const together = async (scale: Scale, contender: Pool): Promise<ReadonlyArray<Figure>> => {
  const measured = await alternate(
    scale,
    [contender],
    (contender) => throughput(contender, callers, scale.turn),
    { most: 3, share: 0.1 }
  )
  const resident = process.memoryUsage.rss()
  await contender.close()
  return measured.flatMap(
    ([{ name }, rounds]): ReadonlyArray<Figure> => [
      {
        table: tables.plugins,
        contender: name,
        unit: "runs/s",
        better: "more",
        rounds: rounds.map(({ perSecond }) => perSecond),
        cost: costOf(rounds)
      },
      {
        table: tables.pluginsMemory,
        contender: name,
        unit: "MiB",
        better: "less",
        rounds: [resident / 2 ** 20]
      }
    ]
  )
}

/** One caller of the first plugin; the others are called now and then. */
const hot = async (scale: Scale, count: number): Promise<ReadonlyArray<Figure>> => {
  const runtime = makeRuntime({})
  const plugins = await runtime.runPromise(PluginRuntime)
  const [first, ...others] = makeSpecs(count).map((spec) => runOf(plugins, spec, smallTask))
  const run = first ?? Effect.void
  await runtime.runPromise(Effect.all([run, ...others], { concurrency: 4, discard: true }))
  let turn = 0
  const cold = Effect.forever(
    Effect.delay(
      Effect.suspend(() => others[turn++ % others.length] ?? Effect.void),
      coldPause
    )
  )
  const measured = await alternate(
    scale,
    [false, true],
    async (besides) => {
      const fiber = runtime.runFork(besides ? cold : Effect.void)
      const taken = await runtime.runPromise(timesOf(scale.turn, run))
      await runtime.runPromise(Fiber.interrupt(fiber))
      return quantile(taken, 0.99)
    },
    { share: 0.4 }
  )
  await runtime.dispose()
  return measured.map(([besides, rounds]) => ({
    table: tables.hot,
    contender: besides ? `agentlip, with ${others.length} cold plugins` : "agentlip, alone",
    unit: "us",
    better: "less",
    rounds
  }))
}

export const plugins: Suite = async (scale) => {
  const figures: Array<Figure> = []
  const counts = scale.quick ? [1, 50] : [1, 50, 200]
  for (const count of counts) {
    figures.push(...(await together(scale, await ours(count))))
  }
  figures.push(...(await together(scale, await bare(Math.max(...counts)))))
  return [...figures, ...(await hot(scale, Math.max(...counts)))]
}
