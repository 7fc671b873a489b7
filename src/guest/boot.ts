/**
 * The first code in a worker thread of the runtime. Gives up what the thread was implicitly given, takes its
 * private port, hardens the thread and waits for a plugin to be. A booted guest without a plugin is a *spare*.
 */
import { workerData } from "node:worker_threads"
import { makeConsole } from "./console.ts"
import { describeReason, quote } from "./describe.ts"
import { makeFacades } from "./facades.ts"
import { harden } from "./harden.ts"
import { post } from "./intrinsics.ts"
import { installModuleHooks } from "./modules.ts"
import { type ModuleChannel, noNonce, Reply } from "./protocol.ts"
import { serve } from "./serve.ts"

// Typed as the host sends it (isolation/thread.ts); this is the one place that takes its word.
const {
  port,
  confined
}: { readonly port: import("node:worker_threads").MessagePort; readonly confined: boolean } = workerData

let nonce = noNonce
const guestConsole = makeConsole((level, text) =>
  post(port, `${Reply.log}${nonce}{"level":"${level}","text":${quote(text)}}`)
)
const setNonce = (next: string): void => {
  nonce = next
}

// Reported from here, capped: left to Node, an error of any size would be cloned into the host.
const real = process
const crash = (what: string) => (error: unknown) => {
  post(port, `${Reply.crashed}${noNonce}${quote(`${what} ${describeReason(error)}`)}`)
  real.exit(1)
}
process.on("uncaughtException", crash("uncaught"))
process.on("unhandledRejection", crash("unhandled rejection:"))

let modules: ModuleChannel | undefined
if (confined) {
  // Node lets a thread with permissions read the host's working directory; nobody granted that.
  process.permission.drop("fs.read", process.cwd())
  const facades = makeFacades(guestConsole)
  installModuleHooks(facades, () => modules)
  harden(guestConsole, facades)
}

serve(port, guestConsole, setNonce, (request) => {
  modules = request.modules
  return import(request.entry)
})
