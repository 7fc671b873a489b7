/**
 * The host's module loader, in a thread of its own: reading and compiling a plugin's files must not hold up
 * the host's event loop. Guests wait for its answers asleep. Runs no plugin code.
 */
import { realpathSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { parentPort } from "node:worker_threads"
import { type Ahead, type AheadAnswer, type ModuleText } from "../guest/ahead.ts"
import type { ModuleAnswer, ModuleRequest } from "../guest/protocol.ts"
import { makeReadHeavy } from "./heavySources.ts"
import { KnownRequests } from "./KnownRequests.ts"
import type { LoaderMessage, LoaderReply } from "./ModuleLoader.ts"
import { type Modules, openModules } from "./moduleGraph.ts"
import { ModuleSources, stampOf } from "./ModuleSource.ts"
import { CompileProblem, hasTrapped } from "./typescript.ts"

/** Characters that are sent ahead. */
const maxAhead = 4 * 1024 * 1024

type Serve = Extract<LoaderMessage, { readonly type: "serve" }>

const sources = new ModuleSources(makeReadHeavy())
const known = new KnownRequests()
/** What each guest has loaded, to tell when a file of its has changed. */
const loadedBy = new Map<number, Map<string, string>>()

/** One guest's modules: its plugin's entry, what it asks for, and what of its plugin is sent ahead of that. */
class Serving {
  readonly #entry: string
  readonly #integrity: string | undefined
  readonly #plugin: string
  readonly #loaded: Map<string, string>
  #modules: Promise<Modules> | undefined

  constructor({ entry, integrity }: Serve, loaded: Map<string, string>) {
    this.#entry = entry
    this.#integrity = integrity
    this.#plugin = JSON.stringify([entry, integrity])
    this.#loaded = loaded
  }

  async #get(request: ModuleRequest): Promise<ModuleText> {
    this.#modules ??= openModules(this.#entry, sources, this.#integrity)
    const { file, url, source } = await (await this.#modules).get(request)
    this.#loaded.set(file, source.stamp)
    return { url, format: source.format, source: source.source }
  }

  async answer(request: ModuleRequest): Promise<ModuleAnswer> {
    try {
      const text = await this.#get(request)
      known.add(this.#plugin, request)
      return text
    } catch (error) {
      return problem(error)
    }
  }

  /** The entry, with all that guests of the same plugin have asked for before; every one decided anew. */
  async entry(): Promise<ModuleAnswer | AheadAnswer> {
    try {
      const specifier = pathToFileURL(realpathSync(this.#entry)).href
      const asked = await this.#get({ specifier, parent: "", require: false })
      if (typeof asked.source !== "string" || asked.source.length > maxAhead) return asked
      const more = await this.#more()
      if (more.length === 0) return asked
      return { url: asked.url, format: "ahead", source: JSON.stringify({ asked, more } satisfies Ahead) }
    } catch (error) {
      return problem(error)
    }
  }

  async #more(): Promise<Ahead["more"]> {
    const more: Array<readonly [string, ModuleText]> = []
    let length = 0
    for (const [key, request] of known.of(this.#plugin)) {
      try {
        const text = await this.#get(request)
        length += text.source.length
        if (length > maxAhead) break
        if (typeof text.source === "string") more.push([key, text])
      } catch (error) {
        if (hasTrapped(error)) throw error
        // Gone, or of a plugin that was another then: whoever asks for it is told why it cannot be had.
        known.drop(this.#plugin, key)
      }
    }
    return more
  }
}

const problem = (error: unknown): ModuleAnswer => {
  const message = error instanceof Error ? error.message : String(error)
  // The compiler's WebAssembly has trapped and answers nobody from now on: the next guest gets a new loader.
  if (hasTrapped(error)) setImmediate(() => process.exit(1))
  return error instanceof CompileProblem ? { error: message, syntax: true } : { error: message }
}

/** An answer as a process reads it: JSON, a line feed, the source's bytes. */
const frame = (answer: ModuleAnswer | AheadAnswer): Uint8Array<ArrayBuffer> => {
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

const serve = (message: Serve): void => {
  const { guest, port, flag: shared, framed } = message
  const flag = new Int32Array(shared)
  const loaded = new Map<string, string>()
  loadedBy.set(guest, loaded)
  const serving = new Serving(message, loaded)
  const send = (reply: ModuleAnswer | AheadAnswer): void => {
    if (framed) {
      const bytes = frame(reply)
      return port.postMessage(bytes, [bytes.buffer])
    }
    port.postMessage(reply)
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  }
  let isEntry = true
  // One after another: a guest that asks for several at a time, past its own line, has no one to thank but itself.
  let last = serving.entry().then(send)
  port.on("message", (text: unknown) => {
    // The guest's own first request, answered before it came.
    if (isEntry) {
      isEntry = false
      return
    }
    const request = requestIn(text)
    last = last.then(async () =>
      send(
        request === undefined ? { error: "that is no request for a module" } : await serving.answer(request)
      )
    )
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
