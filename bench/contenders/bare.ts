/** No pool, no deadline, no validation: what Node gives. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { byPromises, type Contender } from "./Contender.ts"
import { type Task, verify } from "./task.ts"

const peer = (file: string): string => fileURLToPath(new URL(`../peers/${file}`, import.meta.url))
const workerFile = peer("bare-worker.mjs")
const processFile = peer("bare-process.mjs")
const spinningFile = peer("spins.mjs")

interface Answer {
  readonly id: number
  readonly output: unknown
}

/** Every call is posted at once. */
export const bareThread = (task: Task): Contender => {
  const { call, close } = poster(task)
  return byPromises("bare postMessage", task, call, close)
}

/** A call is posted when the one before it is answered. */
export const bareThreadInTurn = (task: Task): Contender => {
  const { call, close } = poster(task)
  let last: Promise<unknown> = Promise.resolve()
  const next = (): Promise<unknown> => {
    last = last.then(call)
    return last
  }
  return byPromises("bare postMessage, one at a time", task, next, close)
}

/** So many workers in turn: what a plugin's own thread costs without everything else. */
export const bareThreads = (task: Task, count: number): Contender => {
  const posters = Array.from({ length: count }, () => poster(task))
  let turn = 0
  return byPromises(
    `bare postMessage, ${count} workers`,
    task,
    async () => posters[turn++ % count]?.call(),
    () => Promise.all(posters.map(({ close }) => close()))
  )
}

const poster = (task: Task) => {
  const worker = new Worker(workerFile)
  const waiting = new Map<number, (output: unknown) => void>()
  let calls = 0
  worker.on("message", ({ id, output }: Answer) => {
    waiting.get(id)?.(output)
    waiting.delete(id)
  })
  return {
    call: (): Promise<unknown> =>
      new Promise((resolve) => {
        const id = calls++
        waiting.set(id, resolve)
        worker.postMessage({ id, input: task.input })
      }),
    close: () => worker.terminate()
  }
}

const spawnPeer = () => spawn(process.execPath, [processFile], { stdio: ["pipe", "pipe", "inherit"] })

/** Lines over pipes, every call written at once. */
export const bareProcess = (task: Task): Contender => {
  const child = spawnPeer()
  const waiting: Array<(output: unknown) => void> = []
  let rest = ""
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const [index, settle] of waiting.splice(0, lines.length).entries()) {
      settle(JSON.parse(lines[index] ?? ""))
    }
  })
  const call = (): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      child.stdin.write(`${JSON.stringify(task.input)}\n`)
    })
  const close = (): Promise<unknown> =>
    new Promise((resolve) => {
      child.once("exit", resolve)
      child.kill("SIGKILL")
    })
  return byPromises("bare process, lines", task, call, close)
}

/** A thread per call: start, one answer. Its end is not the caller's wait, here as with the runtime. */
export const freshThread = async (task: Task): Promise<void> => {
  const worker = new Worker(workerFile)
  const answered = new Promise<Answer>((resolve) => worker.once("message", resolve))
  worker.postMessage({ id: 0, input: task.input })
  verify(task, (await answered).output)
  void worker.terminate()
}

/** A Node per call: start, one answer. */
export const freshProcess = async (task: Task): Promise<void> => {
  const child = spawnPeer()
  const answered = new Promise<Buffer>((resolve) => child.stdout.once("data", resolve))
  child.stdin.write(`${JSON.stringify(task.input)}\n`)
  verify(task, JSON.parse(String(await answered)))
  child.kill("SIGKILL")
}

/** Something that will spin when it is told to. */
export interface Spinner {
  /** Begins to spin. */
  readonly spin: () => void
  /** Kills it; `gone` resolves when its end is known. */
  readonly kill: () => void
  readonly gone: Promise<unknown>
}

export const spinningThread = async (): Promise<Spinner> => {
  const worker = new Worker(spinningFile)
  const gone = new Promise((resolve) => worker.once("exit", resolve))
  await new Promise((resolve) => worker.once("message", resolve))
  return { spin: () => worker.postMessage("spin"), kill: () => void worker.terminate(), gone }
}

export const spinningProcess = async (): Promise<Spinner> => {
  const child = spawn(process.execPath, [spinningFile], { stdio: ["pipe", "pipe", "inherit"] })
  const gone = new Promise((resolve) => child.once("exit", resolve))
  await new Promise((resolve) => child.stdout.once("data", resolve))
  return { spin: () => void child.stdin.write("spin\n"), kill: () => void child.kill("SIGKILL"), gone }
}
