/** The host's side of one loader thread: runs one job at a time, limits its memory, and can always end it. */
import { Worker } from "node:worker_threads"
import type { Lru } from "../cache/Lru.ts"
import { hostConditions } from "./conditions.ts"
import { messageOf } from "./LoadProblem.ts"
import type { HostMessage, LoaderJob, LoaderMessage, LoaderResult } from "./loaderMessages.ts"

const file = new URL(`./serveModules.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

/** In MiB of V8's heap. Enough for the sources of the largest plugin and for parsing them. */
const maxHeap = 512

/** In MiB, on and off the heap. Includes the compiler's memory. */
const maxMemory = 1024

/** How often to check the memory of a busy thread, in milliseconds. */
const memoryInterval = 100

/** How long to wait for a thread to end, in milliseconds. */
const endWait = 250

const mebibyte = 1024 * 1024

/** The only part of the host's environment that a loader gets: the folder of Node's compile cache, if set. */
const compileCache = (): { readonly NODE_COMPILE_CACHE?: string } => {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
}

/** The problem of a job if the system has no thread left for it. */
export const threadUnavailable = "the thread that was to read them could not be started"

const tooMuchMemory = "reading them takes more memory than a plugin's modules may; bundle what it needs"

const reasonOf = (error: unknown): string =>
  error instanceof Error && Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY"
    ? tooMuchMemory
    : `the thread that was to read them failed (${messageOf(error)})`

export interface ThreadEvents {
  readonly ready: () => void
  readonly gone: () => void
}

/** Receives the result of a job. Called once. */
export type Done = (result: LoaderResult) => void

export class LoaderThread {
  readonly #worker: Worker
  readonly #compiled: Lru<string>
  #jobs = 0
  #done: Done | undefined
  #reason = "the thread that was to read them has ended"
  #watch: NodeJS.Timeout | undefined
  readonly #exited: Promise<unknown>
  #gone = false
  /** Whether the thread accepts no more jobs. */
  ending = false

  constructor(compiled: Lru<string>, events: ThreadEvents) {
    this.#compiled = compiled
    this.#worker = new Worker(file, {
      name: "agentlip-module-loader",
      execArgv: ["--no-warnings"],
      env: compileCache(),
      workerData: { conditions: hostConditions() },
      resourceLimits: { maxOldGenerationSizeMb: maxHeap }
    })
    // The thread keeps the host's process alive only while it boots or runs a job.
    this.#worker.on("message", (message: LoaderMessage) => {
      if (message.type === "ready") {
        if (!this.busy) this.#worker.unref()
        events.ready()
      } else this.#message(message)
    })
    this.#worker.on("error", (error) => {
      this.#reason = reasonOf(error)
    })
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#gone = true
        resolve(undefined)
        // Before `#settle`, whose callback may submit the next job.
        events.gone()
        this.#settle({ type: "problem", problem: this.#reason })
      })
    })
  }

  get busy(): boolean {
    return this.#done !== undefined
  }

  run(job: LoaderJob, done: Done): void {
    this.#done = done
    this.#worker.ref()
    this.#watch = setInterval(() => void this.#look(), memoryInterval).unref()
    this.#post({ type: "job", id: ++this.#jobs, job })
  }

  /** Ends the thread, even during a job. Returns when it has exited, at the latest after `endWait`. */
  async end(reason = this.#reason): Promise<void> {
    this.#reason = reason
    this.ending = true
    void this.#worker.terminate()
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, endWait)
    await Promise.race([this.#exited, late.promise])
    clearTimeout(timer)
    this.#worker.unref()
  }

  #post(message: HostMessage): void {
    this.#worker.postMessage(message)
  }

  #message(message: Exclude<LoaderMessage, { readonly type: "ready" }>): void {
    switch (message.type) {
      case "find":
        return this.#post({ type: "found", key: message.key, code: this.#compiled.get(message.key) })
      case "keep":
        return this.#compiled.set(message.key, message.code)
      case "done":
        if (message.job !== this.#jobs) return
        if (message.spent) void this.end()
        this.#settle(message.result)
    }
  }

  #settle(result: LoaderResult): void {
    clearInterval(this.#watch)
    const done = this.#done
    this.#done = undefined
    if (!this.#gone) this.#worker.unref()
    done?.(result)
  }

  async #look(): Promise<void> {
    if (this.#gone) return
    try {
      const { used_heap_size, malloced_memory, external_memory } = await this.#worker.getHeapStatistics()
      if (used_heap_size + malloced_memory + external_memory > maxMemory * mebibyte)
        await this.end(tooMuchMemory)
    } catch {
      // The thread has exited meanwhile.
    }
  }
}
