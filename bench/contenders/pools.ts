/** The pools that others use, each as its documentation says for throughput, with one worker unless told otherwise. */
import { fileURLToPath } from "node:url"
import { Piscina } from "piscina"
import { Tinypool } from "tinypool"
import workerpool from "workerpool"
import { byPromises, type Contender } from "./Contender.ts"
import type { Task } from "./task.ts"

const peer = (file: string): string => fileURLToPath(new URL(`../peers/${file}`, import.meta.url))
const filename = peer("task.mjs")

/** How Piscina's threads wait: asleep on an atomic (its default), or for an atomic beside their event loop. */
export type Atomics = "sync" | "async"

export const piscina = (
  task: Task,
  concurrentTasksPerWorker: number,
  atomics: Atomics,
  threads = 1
): Contender => {
  const pool = new Piscina({
    filename,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker,
    atomics
  })
  return byPromises(
    `piscina, ${concurrentTasksPerWorker} a worker, ${atomics}`,
    task,
    () => pool.run(task.input),
    () => pool.destroy()
  )
}

export const tinypool = (task: Task, concurrentTasksPerWorker: number): Contender => {
  const pool = new Tinypool({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker })
  return byPromises(
    `tinypool, ${concurrentTasksPerWorker} a worker`,
    task,
    () => pool.run(task.input),
    () => pool.destroy()
  )
}

export const workerPool = (task: Task, workerType: "thread" | "process"): Contender => {
  const pool = workerpool.pool(peer("workerpool-worker.mjs"), { minWorkers: 1, maxWorkers: 1, workerType })
  return byPromises(
    `workerpool, ${workerType}`,
    task,
    () => pool.exec("enrich", [task.input]),
    async () => pool.terminate()
  )
}
