/** The entry point of an isolate's thread: drops a permission that Node gives by default, then starts. */
import realProcess from "node:process"
import { workerData } from "node:worker_threads"
import { rehearse } from "./rehearse.ts"
import { start } from "./start.ts"
import { threadLine } from "./threadLine.ts"
import type { ModuleChannel } from "../../wire/modules.ts"

// The types match what the host sends (isolates/levels/thread/startThread.ts). Only this file trusts it unchecked.
const {
  port,
  modules,
  confined
}: {
  readonly port: import("node:worker_threads").MessagePort
  readonly modules: ModuleChannel
  readonly confined: boolean
} = workerData

// Node lets a thread with permissions read the host's working directory. No grant covers that.
if (confined) realProcess.permission.drop("fs.read", realProcess.cwd())

start(threadLine(port, modules), { confined, ownProcess: false })
if (confined) rehearse()
