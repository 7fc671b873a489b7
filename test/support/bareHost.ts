/**
 * A host as its author would write it who has never met a rogue: imports the plugin into a worker, or into a
 * process, and takes its word. The zoo's positive control; a process of its own, and free of dependencies, for it
 * will come to harm.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { MessageChannel, Worker } from "node:worker_threads"
import type { Task } from "./hostTask.ts"

export interface BareReport {
  readonly outcome: "answered" | "hung" | "died"
  readonly values: ReadonlyArray<unknown>
  /** The most memory it ever had, in MiB. */
  readonly memory: number
}

const bareWorker = `
const { port, modulePath } = require("node:worker_threads").workerData
import(modulePath).then((module) => {
  const plugin = module.default
  port.on("message", async (text) => {
    const { id, input } = JSON.parse(text)
    const reply = {}
    reply.value = await plugin.enrich(input, { signal: new AbortController().signal })
    reply.id = id
    port.postMessage(JSON.stringify(reply))
  })
  port.postMessage('{"ready":true}')
})
`

const bareProcess = `
import(process.argv[1]).then((module) => {
  const plugin = module.default
  let buffered = ""
  process.stdin.on("data", async (chunk) => {
    buffered += chunk.toString()
    for (let end = buffered.indexOf("\\n"); end >= 0; end = buffered.indexOf("\\n")) {
      const { id, input } = JSON.parse(buffered.slice(0, end))
      buffered = buffered.slice(end + 1)
      const value = await plugin.enrich(input, { signal: new AbortController().signal })
      process.stdout.write(JSON.stringify({ id, value }) + "\\n")
    }
  })
  process.stdout.write('{"ready":true}\\n')
})
`

/** How long it waits for a plugin that never has loaded, in milliseconds. */
const patienceToLoad = 2_500

const task: Task = JSON.parse(process.argv[2] ?? "")
const config = {
  ...task.spec.config,
  pid: process.pid,
  descriptor: fs.openSync(String(task.spec.config?.database), "r+")
}
let report: Omit<BareReport, "memory"> = { outcome: "hung", values: [] }
const finish = (): void => {
  fs.writeSync(3, JSON.stringify({ ...report, memory: Math.round(process.resourceUsage().maxRSS / 1024) }))
  // Not `process.exit`: a thread stuck in a built-in would keep that from ending.
  process.kill(process.pid, "SIGKILL")
}
const died = (): void => {
  report = { ...report, outcome: "died" }
  finish()
}
const take = (text: string): void => {
  let answer: { readonly ready?: true; readonly value?: unknown }
  try {
    answer = JSON.parse(text)
  } catch {
    return
  }
  if (answer.ready === true) {
    setTimeout(finish, task.patience)
    ask(1)
    if (task.twice) setTimeout(ask, 100, 2)
    return
  }
  report = {
    outcome: "answered",
    values: [...report.values, text.length > 4e6 ? undefined : answer.value]
  }
  if (!task.twice || report.values.length > 1) setTimeout(finish, task.linger)
}

const inWorker = (): ((text: string) => void) => {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(bareWorker, {
    eval: true,
    workerData: { port: port2, modulePath: task.spec.modulePath },
    transferList: [port2]
  })
  worker.on("error", died)
  worker.on("exit", died)
  port1.on("message", take)
  return (text) => port1.postMessage(text)
}

const inProcess = (): ((text: string) => void) => {
  const child = spawn(process.execPath, ["-e", bareProcess, task.spec.modulePath], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  let buffered = ""
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (buffered + chunk.toString()).split("\n")
    buffered = lines.pop() ?? ""
    for (const line of lines) take(line)
  })
  child.on("exit", died)
  // A rogue that closes its end is what it is here to be.
  child.stdin.on("error", () => {})
  return (text) => child.stdin.write(`${text}\n`)
}

const send = task.bare === "process" ? inProcess() : inWorker()
const ask = (id: number): void => send(JSON.stringify({ id, input: { message: task.message, config } }))
setTimeout(finish, patienceToLoad + task.patience)
const { enough } = task
if (enough !== undefined) {
  setInterval(() => {
    if (process.memoryUsage.rss() > enough * 1024 * 1024) finish()
  }, 10)
}
