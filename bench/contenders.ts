/** Everyone who runs the same work: the runtime with everything switched on, and its peers. */
import {
  CircuitBreaker,
  type IsolationLevel,
  linkifier,
  makeSpec,
  PluginRuntime,
  type PluginSpec,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import { Effect, Layer, ManagedRuntime } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { Piscina } from "piscina"
import { Tinypool } from "tinypool"
import workerpool from "workerpool"

export interface Contender {
  readonly name: string
  readonly run: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export const message = {
  id: "01",
  content_raw: "see https://example.com/docs and https://agentlip.dev, then tell @ada what you think of it",
  sender: "bench",
  topic_id: "t",
  channel_id: "c",
  created_at: "2026-01-01T00:00:00.000Z"
}
const input = { message, config: {} }

export const makeRuntime = (options?: WorkerOptions) =>
  ManagedRuntime.make(
    PluginRuntime.layer.pipe(
      Layer.provideMerge(CircuitBreaker.layer()),
      Layer.provide(WorkerLayer.layer(options))
    )
  )

export const spansSpec = makeSpec({ name: "spans", kind: linkifier, modulePath: here("./plugins/spans.ts") })
export const spinsSpec = makeSpec({
  name: "spins",
  kind: linkifier,
  modulePath: here("./plugins/spins.ts"),
  timeout: 100,
  breaker: { failureThreshold: 1_000_000 }
})

const contenderNames: { readonly [Level in IsolationLevel]: string } = {
  thread: "agentlip",
  process: "agentlip, process",
  wasm: "agentlip, wasm"
}

/** The same spec on another level. */
export const on = <Spec extends PluginSpec>(isolation: IsolationLevel, spec: Spec): Spec => ({
  ...spec,
  isolation
})

/** The runtime; callers are fibers, as a hub's are. */
export const agentlip = (spec: typeof spansSpec): Contender => {
  const runtime = makeRuntime({ prepare: [spec.isolation] })
  const run = Effect.flatMap(PluginRuntime, (plugins) => plugins.run(spec, { message }))
  return {
    name: contenderNames[spec.isolation],
    run: () => runtime.runPromise(run),
    close: () => runtime.dispose()
  }
}

/** The levels that run here; `note` is told of the others. */
export const availableLevels = async (
  note: (text: string) => void
): Promise<ReadonlyArray<IsolationLevel>> => {
  const runtime = makeRuntime({ prepare: [] })
  const levels: Array<IsolationLevel> = []
  for (const level of ["thread", "process", "wasm"] as const) {
    const load = Effect.flatMap(PluginRuntime, (plugins) => plugins.load(on(level, spansSpec)))
    const problem = await runtime.runPromise(
      Effect.match(load, { onSuccess: () => undefined, onFailure: ({ message }) => message })
    )
    if (problem === undefined) levels.push(level)
    else note(`isolation "${level}" is left out: ${problem}`)
  }
  await runtime.dispose()
  return levels
}

export const piscina = (tasks: number): Contender => {
  const pool = new Piscina({
    filename: here("./peers/task.mjs"),
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: tasks
  })
  return { name: `piscina, ${tasks} a worker`, run: () => pool.run(input), close: () => pool.destroy() }
}

export const tinypool = (): Contender => {
  const pool = new Tinypool({ filename: here("./peers/task.mjs"), minThreads: 1, maxThreads: 1 })
  return { name: "tinypool", run: () => pool.run(input), close: () => pool.destroy() }
}

export const workerPool = (): Contender => {
  const pool = workerpool.pool(here("./peers/workerpool-worker.mjs"), {
    minWorkers: 1,
    maxWorkers: 1,
    workerType: "thread"
  })
  return {
    name: "workerpool",
    run: async () => pool.exec("enrich", [input]),
    close: async () => pool.terminate()
  }
}

/** No pool, no deadline, no validation: what the machine gives. */
export const bare = (): Contender => {
  const worker = new Worker(here("./peers/bare-worker.mjs"))
  const waiting = new Map<number, (output: unknown) => void>()
  let calls = 0
  worker.on("message", ({ id, output }: { readonly id: number; readonly output: unknown }) => {
    waiting.get(id)?.(output)
    waiting.delete(id)
  })
  return {
    name: "bare postMessage",
    run: () =>
      new Promise((resolve) => {
        const id = calls++
        waiting.set(id, resolve)
        worker.postMessage({ id, input })
      }),
    close: () => worker.terminate()
  }
}

/** A bare thread per call: start, one answer, end. */
export const bareFresh = async (): Promise<void> => {
  const worker = new Worker(here("./peers/bare-worker.mjs"))
  const answered = new Promise((resolve) => worker.once("message", resolve))
  worker.postMessage({ id: 0, input })
  await answered
  // The end is not the caller's wait, for either contender.
  void worker.terminate()
}

/** A bare Node per call: start, one answer, end. */
export const bareSpawn = async (): Promise<void> => {
  const child = spawn(process.execPath, [here("./peers/bare-process.mjs")], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const answered = new Promise((resolve) => child.stdout.once("data", resolve))
  child.stdin.write(`${JSON.stringify(input)}\n`)
  await answered
  child.kill("SIGKILL")
}
