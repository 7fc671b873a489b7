/** A plugin that spins: how soon it is gone, and what others notice of it meanwhile. */
import { type IsolationLevel, PluginRuntime, WorkerLayer } from "@agentlip/plugin-runtime"
import { Effect, Fiber } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { makeRuntime, nameOf, type Runtime, runOf, spans, spins, timesOf } from "../contenders/agentlip.ts"
import { type Spinner, spinningProcess, spinningThread } from "../contenders/bare.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, type Figure, sleep, type Suite } from "../figures.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

/** Milliseconds. */
const deadline = 100
/** Milliseconds, shorter, so that there are many kills in little time. */
const shortDeadline = 50

/** Milliseconds between two looks for isolates that boot. */
const look = 10

/** Waits until all spares have booted again, and a little longer, so that their boots slow nothing that is measured. */
const settled = async (runtime: Runtime): Promise<void> => {
  const booting = Effect.map(
    WorkerLayer.use(({ stats }) => stats),
    ({ levels }) => [...levels.values()].some(({ booting }) => booting > 0)
  )
  do await sleep(look)
  while (await runtime.runPromise(booting))
  await sleep(look)
}

/**
 * Makes something that will spin. The returned function lets it spin for the short deadline, kills it, and returns how
 * many milliseconds that took.
 */
type Contender = () => Promise<() => Promise<number>>

/** From the deadline, which counts from the call, to the caller's TIMEOUT, which comes when the isolate is gone. */
const ours = (runtime: Runtime, level: IsolationLevel): Contender => {
  const spec = spins(level, shortDeadline)
  // The deadline is meant for the run; a load that a busy machine is too slow for is tried again.
  const load = PluginRuntime.use((plugins) => Effect.retry(plugins.load(spec), { times: 10 }))
  const run = PluginRuntime.use((plugins) => Effect.flip(plugins.run(spec, smallTask.input)))
  return async () => {
    await runtime.runPromise(load)
    return async () => {
      const begin = performance.now()
      await runtime.runPromise(run)
      return performance.now() - begin - shortDeadline
    }
  }
}

/** From the kill to the exit event: what the machine and Node need. */
const bare =
  (make: () => Promise<Spinner>): Contender =>
  async () => {
    const { spin, kill, gone } = await make()
    return async () => {
      spin()
      await sleep(shortDeadline)
      const begin = performance.now()
      kill()
      await gone
      return performance.now() - begin
    }
  }

const deaths: Suite = async (scale, levels) => {
  const runtime = makeRuntime({ spares: 3, prepare: levels })
  const contenders: ReadonlyArray<readonly [string, Contender]> = [
    ...levels.map((level) => [nameOf(level), ours(runtime, level)] as const),
    ["bare new Worker", bare(spinningThread)],
    ["bare spawn of node", bare(spinningProcess)]
  ]
  const kills = scale.quick ? 5 : 20
  const measured = await alternate(
    scale,
    contenders,
    async ([, prepare]) => {
      const taken: Array<number> = []
      for (let kill = 0; kill < kills; kill++) {
        const spinUntilKilled = await prepare()
        await settled(runtime)
        taken.push(await spinUntilKilled())
      }
      return taken
    },
    { most: scale.quick ? 1 : 3, share: 0.4 }
  )
  await runtime.dispose()
  const at = (table: string, q: number): ReadonlyArray<Figure> =>
    measured.map(([[contender], rounds]) => ({
      table,
      contender,
      unit: "ms",
      better: "less",
      rounds: rounds.map((taken) => quantile(taken, q))
    }))
  return [...at(tables.kill, 0.95), ...at(tables.killMedian, 0.5), ...at(tables.killMost, 1)]
}

interface Window {
  /** Of the other plugin's runs, in microseconds. */
  readonly tail: number
  /** Of the host's event loop, in milliseconds. */
  readonly delay: number
}

/** One caller of a plugin that behaves, with or without a plugin that spins and is killed, again and again. */
const watch = async (
  runtime: Runtime,
  level: IsolationLevel,
  spinning: boolean,
  millis: number
): Promise<Window> => {
  const plugins = await runtime.runPromise(PluginRuntime)
  const spinner = runtime.runFork(
    spinning ? Effect.forever(Effect.flip(plugins.run(spins(level, deadline), smallTask.input))) : Effect.void
  )
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const taken = await runtime.runPromise(timesOf(millis, runOf(plugins, spans(level), smallTask)))
  delays.disable()
  await runtime.runPromise(Fiber.interrupt(spinner))
  return { tail: quantile(taken, 0.99), delay: delays.percentile(99) / 1e6 }
}

const beside: Suite = async (scale, levels) => {
  const figures: Array<Figure> = []
  for (const level of levels) {
    const runtime = makeRuntime({ prepare: [level] })
    // Warm, spares and all.
    await watch(runtime, level, true, scale.turn)
    const windows = await alternate(
      scale,
      [false, true],
      async (spinning) => {
        // Spares that replace those of the last window would boot in this one.
        await settled(runtime)
        return watch(runtime, level, spinning, 2 * scale.turn)
      },
      { share: 0.2 }
    )
    await runtime.dispose()
    for (const [spinning, rounds] of windows) {
      const contender = besideName(level, spinning)
      const better = "less"
      figures.push(
        { table: tables.besideKill, contender, unit: "us", better, rounds: rounds.map(({ tail }) => tail) },
        { table: tables.loopDelay, contender, unit: "ms", better, rounds: rounds.map(({ delay }) => delay) }
      )
    }
  }
  return figures
}

export const besideName = (level: IsolationLevel, spinning: boolean): string =>
  `${nameOf(level)}, ${spinning ? "beside a spinning plugin" : "alone"}`

export const kill: Suite = async (scale, levels) => [
  ...(await deaths(scale, levels)),
  ...(await beside(scale, levels))
]
