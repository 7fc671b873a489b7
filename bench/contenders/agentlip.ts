/** The runtime with everything switched on: breaker, deadline, validation, spans, logs, metrics. */
import {
  CircuitBreaker,
  type IsolationLevel,
  linkifier,
  makeSpec,
  PluginRuntime,
  type PluginSpecOptions,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import { Effect, Layer, ManagedRuntime } from "effect"
import { fileURLToPath } from "node:url"
import { byPromises, type Contender } from "./Contender.ts"
import { type Task, verify } from "./task.ts"

const plugin = (name: string): string => fileURLToPath(new URL(`../plugins/${name}.ts`, import.meta.url))

export const makeRuntime = (options: WorkerOptions) =>
  ManagedRuntime.make(
    PluginRuntime.layer.pipe(
      Layer.provideMerge(CircuitBreaker.layer()),
      Layer.provideMerge(WorkerLayer.layer(options))
    )
  )
export type Runtime = ReturnType<typeof makeRuntime>

type Options = Partial<PluginSpecOptions<typeof linkifier>>

/** Does what the peers do. */
export const spans = (isolation: IsolationLevel, options: Options = {}) =>
  makeSpec({ name: "spans", kind: linkifier, modulePath: plugin("spans"), isolation, ...options })
export type Spec = ReturnType<typeof spans>

/** Never answers; its circuit never opens. */
export const spins = (isolation: IsolationLevel, timeout: number): Spec =>
  makeSpec({
    name: `spins-${isolation}`,
    kind: linkifier,
    modulePath: plugin("spins"),
    isolation,
    timeout,
    breaker: { failureThreshold: 1_000_000 }
  })

/** Keeps a mebibyte of every run; its circuit never opens. */
export const leaks = (isolation: IsolationLevel): Spec =>
  makeSpec({
    name: "leaks",
    kind: linkifier,
    modulePath: plugin("leaks"),
    isolation,
    limits: { memory: 64 },
    breaker: { failureThreshold: 1_000_000 }
  })

/** One run whose answer is looked at. */
export const runOf = (plugins: PluginRuntime["Service"], spec: Spec, task: Task) =>
  Effect.map(plugins.run(spec, task.input), (output) => verify(task, output))

/** `runs` again and again until `millis` are over, so many callers at any time; answers how many runs there were. */
export const callsOf = (
  callers: number,
  millis: number,
  next: () => Effect.Effect<void, unknown>
): Effect.Effect<number, unknown> =>
  Effect.suspend(() => {
    const until = performance.now() + millis
    let done = 0
    const caller = Effect.whileLoop({
      while: () => performance.now() < until,
      body: next,
      step: () => void done++
    })
    const all = Array.from({ length: callers }, () => caller)
    return Effect.map(Effect.all(all, { concurrency: "unbounded", discard: true }), () => done)
  })

/** One run after another until `millis` are over; answers each one's microseconds. */
export const timesOf = (
  millis: number,
  run: Effect.Effect<void, unknown>
): Effect.Effect<ReadonlyArray<number>, unknown> =>
  Effect.suspend(() => {
    const until = performance.now() + millis
    const taken: Array<number> = []
    let begin = 0
    return Effect.as(
      Effect.whileLoop({
        while: () => (begin = performance.now()) < until,
        body: () => run,
        step: () => void taken.push((performance.now() - begin) * 1000)
      }),
      taken
    )
  })

const names: { readonly [Level in IsolationLevel]: string } = {
  thread: "agentlip",
  process: "agentlip, process",
  wasm: "agentlip, wasm"
}
export const nameOf = (level: IsolationLevel): string => names[level]

/** Callers are fibers, as a hub's are. */
export const agentlip = async (spec: Spec, task: Task, name = nameOf(spec.isolation)): Promise<Contender> => {
  const runtime = makeRuntime({ prepare: [spec.isolation] })
  const plugins = await runtime.runPromise(PluginRuntime)
  const run = runOf(plugins, spec, task)
  return {
    name,
    calls: (callers, millis) => runtime.runPromise(callsOf(callers, millis, () => run)),
    once: async () => {
      const begin = performance.now()
      await runtime.runPromise(run)
      return (performance.now() - begin) * 1000
    },
    times: (millis) => runtime.runPromise(timesOf(millis, run)),
    close: () => runtime.dispose()
  }
}

/** Callers are promises, a fiber for each call, as a host without Effect has them. */
export const agentlipByPromises = async (spec: Spec, task: Task): Promise<Contender> => {
  const runtime = makeRuntime({ prepare: [spec.isolation] })
  const plugins = await runtime.runPromise(PluginRuntime)
  const run = plugins.run(spec, task.input)
  return byPromises(
    `${nameOf(spec.isolation)}, callers are promises`,
    task,
    () => runtime.runPromise(run),
    () => runtime.dispose()
  )
}

/** The levels that run here; `note` is told of the others. */
export const availableLevels = async (
  note: (text: string) => void
): Promise<ReadonlyArray<IsolationLevel>> => {
  const runtime = makeRuntime({ prepare: [] })
  const plugins = await runtime.runPromise(PluginRuntime)
  const levels: Array<IsolationLevel> = []
  for (const level of ["thread", "process", "wasm"] as const) {
    const problem = await runtime.runPromise(
      Effect.match(plugins.load(spans(level)), {
        onSuccess: () => undefined,
        onFailure: ({ message }) => message
      })
    )
    if (problem === undefined) levels.push(level)
    else note(`isolation "${level}" is left out: ${problem}`)
  }
  await runtime.dispose()
  return levels
}
