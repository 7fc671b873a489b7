/**
 * The host's module loader, in a thread of its own: reading and compiling a plugin's files must not hold up
 * the host's event loop. Guests wait for its answers asleep. Runs no plugin code.
 */
import { realpathSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { parentPort } from "node:worker_threads"
import { type Ahead, type AheadAnswer, keyOf, type ModuleText } from "../guest/ahead.ts"
import type { ModuleAnswer, ModuleRequest } from "../guest/protocol.ts"
import { type FileStates, haveChanged } from "../fileStates.ts"
import { makeReadHeavy } from "./heavySources.ts"
import { KeptVersions, type Version } from "./KeptVersions.ts"
import { KnownRequests } from "./KnownRequests.ts"
import type { LoaderMessage, LoaderReply } from "./ModuleLoader.ts"
import { type Modules, openModules } from "./moduleGraph.ts"
import { ModuleSources } from "./ModuleSource.ts"
import { CompileProblem, hasTrapped } from "./typescript.ts"

/** Characters that are sent ahead. */
const maxAhead = 4 * 1024 * 1024

/** Milliseconds after a guest's end in which it is still asked about. */
const askedAfter = 10_000

type Serve = Extract<LoaderMessage, { readonly type: "serve" }>

const sources = new ModuleSources(makeReadHeavy())
const known = new KnownRequests()
const kept = new KeptVersions()

/** The entry as guests ask for it. */
const entryRequest = (entry: string): ModuleRequest => ({
  specifier: pathToFileURL(realpathSync(entry)).href,
  parent: "",
  require: false
})

/** What one guest is served. */
interface Serving {
  readonly entry: string
  /** What it has been given so far; changed once one of these has. */
  readonly states: FileStates
  /** Absent where it is an earlier version that it is given. */
  readonly version: Version | undefined
  /** The answer to its first request, which comes without it. */
  readonly first: () => Promise<ModuleAnswer | AheadAnswer>
  readonly answer: (request: ModuleRequest) => Promise<ModuleAnswer>
}

/** Modules as they are: its plugin's entry, what it asks for, and what of its plugin is sent ahead of that. */
class FromFiles implements Serving {
  readonly entry: string
  readonly version: Version
  readonly #integrity: string | undefined
  readonly #plugin: string
  #modules: Promise<Modules> | undefined

  constructor({ entry, integrity }: Serve) {
    this.entry = entry
    this.version = kept.begin(entry, integrity)
    this.#integrity = integrity
    this.#plugin = JSON.stringify([entry, integrity])
  }

  get states(): FileStates {
    return this.version.files
  }

  async #get(request: ModuleRequest): Promise<ModuleText> {
    this.#modules ??= openModules(this.entry, sources, this.#integrity)
    const { file, url, source } = await (await this.#modules).get(request)
    const text = { url, format: source.format, source: source.source }
    this.version.add(request, text, file, source.stamp)
    return text
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
  async first(): Promise<ModuleAnswer | AheadAnswer> {
    try {
      const asked = await this.#get(entryRequest(this.entry))
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

/** An earlier version of a plugin; it is at an end once the files that do not load have changed. */
const fromKept = (entry: string, { texts }: Version, states: FileStates): Serving => {
  const answer = async (request: ModuleRequest): Promise<ModuleAnswer> =>
    texts.get(keyOf(request)) ?? {
      error: `Cannot load "${request.specifier}": the plugin's files have changed and do not load, and the version that goes on had not asked for it.`
    }
  return { entry, states, version: undefined, answer, first: () => answer(entryRequest(entry)) }
}

/** By guest. */
const servings = new Map<number, Serving>()

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

const servingFor = (message: Serve): Serving => {
  const { entry, integrity } = message
  const instead = kept.insteadOf(entry, integrity)
  return instead === undefined ? new FromFiles(message) : fromKept(entry, instead.version, instead.states)
}

const serve = (message: Serve): void => {
  const { guest, port, flag: shared, framed } = message
  const flag = new Int32Array(shared)
  const serving = servingFor(message)
  servings.set(guest, serving)
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
  let last = serving.first().then(send)
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
  // Its host may ask what came of it, though it is gone.
  port.on("close", () => setTimeout(() => servings.delete(guest), askedAfter).unref())
}

const hasChanged = (guest: number): boolean => {
  const serving = servings.get(guest)
  // Of a loader before this one: better loaded anew than never again.
  return serving === undefined || haveChanged(serving.states)
}

/** Whether it was of an earlier version. */
const hasLoaded = (guest: number): boolean => {
  const serving = servings.get(guest)
  if (serving === undefined) return false
  if (serving.version === undefined) return true
  kept.loaded(serving.entry, serving.version)
  return false
}

/** Whether there is an earlier version to go on with. */
const hasFailed = (guest: number): boolean => {
  const serving = servings.get(guest)
  return serving?.version !== undefined && kept.failed(serving.entry, serving.version)
}

const questions = { changed: hasChanged, loaded: hasLoaded, failed: hasFailed }

parentPort?.on("message", (message: LoaderMessage) => {
  if (message.type === "serve") serve(message)
  else {
    const answer = questions[message.type](message.guest)
    parentPort?.postMessage({ type: "answer", id: message.id, answer } satisfies LoaderReply)
  }
})
parentPort?.postMessage({ type: "ready" } satisfies LoaderReply)
