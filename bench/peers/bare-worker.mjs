import { parentPort } from "node:worker_threads"
import { enrich } from "./task.mjs"

parentPort.on("message", ({ id, input }) => parentPort.postMessage({ id, output: enrich(input) }))
