// Listens to texts; says as many as it is asked for, then that it has said them all.
import { parentPort } from "node:worker_threads"

parentPort.on("message", (message) => {
  if (typeof message === "string") return
  for (let index = 0; index < message.times; index++) parentPort.postMessage(message.text)
  Atomics.store(message.said, 0, 1)
  Atomics.notify(message.said, 0)
})
