/**
 * The first code in a worker thread of the runtime. Gives up what the thread was implicitly given, takes its
 * private port, hardens the thread and waits for a plugin to be. A booted guest without a plugin is a *spare*.
 */
import realProcess from "node:process"
import { workerData } from "node:worker_threads"
import { makeConsole } from "./console.ts"
import { describeReason, quote } from "./describe.ts"
import { makeFacades } from "./facades.ts"
import { harden } from "./harden.ts"
import { endNow, post } from "./intrinsics.ts"
import { installModuleHooks, type ModuleLine, openLine } from "./modules.ts"
import { noNonce, Reply } from "./protocol.ts"
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
const crash = (what: string) => (error: unknown) => {
  post(port, `${Reply.crashed}${noNonce}${quote(`${what} ${describeReason(error)}`)}`)
  endNow(1)
}
realProcess.on("uncaughtException", crash("uncaught"))
realProcess.on("unhandledRejection", crash("unhandled rejection:"))

let modules: ModuleLine | undefined
if (confined) {
  // Node lets a thread with permissions read the host's working directory; nobody granted that.
  realProcess.permission.drop("fs.read", realProcess.cwd())
  const facades = makeFacades(guestConsole)
  installModuleHooks(facades, () => modules)
  harden(guestConsole, facades)
}

serve(port, guestConsole, setNonce, (request) => {
  modules = request.modules === undefined ? undefined : openLine(request.modules)
  return import(request.entry)
})
