/**
 * The host's module loader, in a thread of its own: reading and compiling a plugin's files must not hold up
 * the host's event loop. Guests wait for its answers asleep. Runs no plugin code.
 */
import { parentPort } from "node:worker_threads"
import type { ModuleAnswer, ModuleRequest } from "../guest/protocol.ts"
import type { LoaderMessage, LoaderReply } from "./ModuleLoader.ts"
import { type Modules, openModules } from "./moduleGraph.ts"
import { ModuleSources, stampOf } from "./ModuleSource.ts"
import { CompileProblem, hasTrapped } from "./typescript.ts"

const sources = new ModuleSources()
/** What each guest has loaded, to tell when a file of its has changed. */
const loadedBy = new Map<number, Map<string, string>>()

const answer = (
  modules: () => Modules,
  loaded: Map<string, string>,
  request: ModuleRequest
): ModuleAnswer => {
  try {
    const { file, url, source } = modules().get(request)
    loaded.set(file, source.stamp)
    return { url, format: source.format, source: source.source }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // The compiler's WebAssembly has trapped and answers nobody from now on: the next guest gets a new loader.
    if (hasTrapped(error)) setImmediate(() => process.exit(1))
    return error instanceof CompileProblem ? { error: message, syntax: true } : { error: message }
  }
}

/** An answer as a process reads it: JSON, a line feed, the source's bytes. */
const frame = (answer: ModuleAnswer): Uint8Array<ArrayBuffer> => {
  if ("error" in answer) return new Uint8Array(Buffer.from(`${JSON.stringify(answer)}\n`))
  const { url, format } = answer
  const source = typeof answer.source === "string" ? Buffer.from(answer.source) : answer.source
  const head = Buffer.from(`${JSON.stringify({ url, format, bytes: source.length })}\n`)
  const bytes = new Uint8Array(head.length + source.length)
  bytes.set(head)
  bytes.set(source, head.length)
  return bytes
}

/** What a guest asks; the text is a plugin's as much as anyone's. */
const requestIn = (text: unknown): ModuleRequest | undefined => {
  try {
    const { specifier, parent, require } = JSON.parse(String(text))
    const sound = typeof specifier === "string" && typeof parent === "string" && typeof require === "boolean"
    return sound ? { specifier, parent, require } : undefined
  } catch {
    // Not JSON, or not an object: no request.
    return undefined
  }
}

type Serve = Extract<LoaderMessage, { readonly type: "serve" }>

const serve = ({ guest, entry, port, flag: shared, framed, integrity }: Serve): void => {
  const flag = new Int32Array(shared)
  const loaded = new Map<string, string>()
  loadedBy.set(guest, loaded)
  // Opened at the first request: an entry that is gone or changed by then is that request's error.
  let opened: Modules | undefined
  const modules = (): Modules => (opened ??= openModules(entry, sources, integrity))
  port.on("message", (text: unknown) => {
    const request = requestIn(text)
    const reply: ModuleAnswer =
      request === undefined ? { error: "that is no request for a module" } : answer(modules, loaded, request)
    if (framed) {
      const bytes = frame(reply)
      return port.postMessage(bytes, [bytes.buffer])
    }
    port.postMessage(reply)
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  })
  port.on("close", () => loadedBy.delete(guest))
}

const hasChanged = (guest: number): boolean => {
  const loaded = loadedBy.get(guest)
  // Of a loader before this one: better loaded anew than never again.
  if (loaded === undefined) return true
  for (const [file, stamp] of loaded) {
    try {
      if (stampOf(file) !== stamp) return true
    } catch {
      // Gone or no longer a module: changed, and the next load will say how.
      return true
    }
  }
  return false
}

parentPort?.on("message", (message: LoaderMessage) => {
  if (message.type === "serve") serve(message)
  else
    parentPort?.postMessage({
      type: "changed",
      id: message.id,
      changed: hasChanged(message.guest)
    } satisfies LoaderReply)
})
parentPort?.postMessage({ type: "ready" } satisfies LoaderReply)
