/** The first code in a worker thread of the runtime: gives up what the thread was implicitly given, and starts. */
import realProcess from "node:process"
import { workerData } from "node:worker_threads"
import { rehearse } from "./rehearse.ts"
import { start } from "./start.ts"
import { threadLine } from "./threadLine.ts"

// Typed as the host sends it (isolates/levels/thread/startThread.ts); this is the one place that takes its word.
const {
  port,
  confined
}: { readonly port: import("node:worker_threads").MessagePort; readonly confined: boolean } = workerData

// Node lets a thread with permissions read the host's working directory; nobody granted that.
if (confined) realProcess.permission.drop("fs.read", realProcess.cwd())

start(threadLine(port), confined)
if (confined) rehearse()
