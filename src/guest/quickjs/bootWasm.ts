/** The entry point of the thread around QuickJS: drops a permission that Node gives by default, then starts. */
import realProcess from "node:process"
import { type MessagePort, workerData } from "node:worker_threads"
import { endNow } from "../node/intrinsics.ts"
import { threadLine } from "../node/threadLine.ts"
import type { ModuleChannel } from "../../wire/modules.ts"
import { queueRequests } from "../shared/requestQueue.ts"
import { Engine } from "./Engine.ts"
import { type CompiledModule, type MemorySize, webAssembly } from "./webAssembly.ts"

// The types match what the host sends (isolates/levels/wasm/startWasm.ts). Only this file trusts it unchecked.
const {
  port,
  modules,
  module,
  size
}: {
  readonly port: MessagePort
  readonly modules: ModuleChannel
  readonly module: CompiledModule
  readonly size: MemorySize
} = workerData

// Node lets a thread with permissions read the host's working directory. No grant covers that.
if (realProcess.versions.bun === undefined) realProcess.permission.drop("fs.read", realProcess.cwd())

const line = queueRequests(threadLine(port, modules), setImmediate)
const engine = await Engine.start({ module, memory: new webAssembly.Memory(size), line, end: endNow })
line.listen((text) => engine.receive(text))
