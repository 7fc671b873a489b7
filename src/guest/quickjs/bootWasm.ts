/** The first code in the thread around QuickJS: gives up what the thread was implicitly given, and starts. */
import realProcess from "node:process"
import { type MessagePort, workerData } from "node:worker_threads"
import { endNow } from "../node/intrinsics.ts"
import { threadLine } from "../node/threadLine.ts"
import { queueRequests } from "../shared/requestQueue.ts"
import { Engine } from "./Engine.ts"
import { type CompiledModule, type MemorySize, webAssembly } from "./webAssembly.ts"

// Typed as the host sends it (isolates/levels/wasm/startWasm.ts); this is the one place that takes its word.
const {
  port,
  module,
  size
}: {
  readonly port: MessagePort
  readonly module: CompiledModule
  readonly size: MemorySize
} = workerData

// Node lets a thread with permissions read the host's working directory; nobody granted that.
if (realProcess.versions.bun === undefined) realProcess.permission.drop("fs.read", realProcess.cwd())

const line = queueRequests(threadLine(port), setImmediate)
const engine = await Engine.start({ module, memory: new webAssembly.Memory(size), line, end: endNow })
line.listen((text) => engine.receive(text))
