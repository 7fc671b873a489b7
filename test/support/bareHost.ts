/**
 * A host as its author would write it who has never met a rogue: imports the plugin into a worker and takes its
 * word. The zoo's positive control; a process of its own, and free of dependencies, for it will come to harm.
 */
import * as fs from "node:fs"
import { MessageChannel, Worker } from "node:worker_threads"
import type { Task } from "./host.ts"

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

/** How long it waits for an answer, and for what may come after one. */
const wait = { answer: 700, after: 60 }

const task: Task = JSON.parse(process.argv[2] ?? "")
const config = {
  ...task.config,
  pid: process.pid,
  descriptor: fs.openSync(String(task.config.database), "r+")
}
const { port1, port2 } = new MessageChannel()
const worker = new Worker(bareWorker, {
  eval: true,
  workerData: { port: port2, modulePath: task.modulePath },
  transferList: [port2]
})
let report: Omit<BareReport, "memory"> = { outcome: "hung", values: [] }
const finish = (): void => {
  fs.writeSync(3, JSON.stringify({ ...report, memory: Math.round(process.resourceUsage().maxRSS / 1024) }))
  // Not `process.exit`: a thread stuck in a built-in would keep that from ending.
  process.kill(process.pid, "SIGKILL")
}
const ask = (id: number): void => {
  port1.postMessage(JSON.stringify({ id, input: { message: task.message, config } }))
}
const died = (): void => {
  report = { ...report, outcome: "died" }
  finish()
}
worker.on("error", died)
worker.on("exit", died)
port1.on("message", (text: string) => {
  let answer: { readonly ready?: true; readonly value?: unknown }
  try {
    answer = JSON.parse(text)
  } catch {
    return
  }
  if (answer.ready === true) {
    ask(1)
    if (task.twice) setTimeout(ask, 100, 2)
    return
  }
  report = {
    outcome: "answered",
    values: [...report.values, text.length > 4e6 ? undefined : answer.value]
  }
  setTimeout(finish, task.twice ? 200 : wait.after)
})
setTimeout(finish, wait.answer)
