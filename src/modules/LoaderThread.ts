/** The host's end of one loader thread: one job at a time, within bounds, and an end for certain. */
import { Worker } from "node:worker_threads"
import type { Lru } from "../cache/Lru.ts"
import { hostConditions } from "./conditions.ts"
import { messageOf } from "./LoadProblem.ts"
import type { HostMessage, LoaderJob, LoaderMessage, LoaderResult } from "./loaderMessages.ts"

const file = new URL(`./serveModules.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

/** MiB of V8's heap: the sources of the largest plugin, and what it takes to read them. */
const maxHeap = 512

/** MiB on and beside the heap, the compiler's included. */
const maxMemory = 1024

/** How often the memory of a thread that is at a job is looked at, in milliseconds. */
const memoryInterval = 100

/** How long one waits for a thread to end, in milliseconds. */
const endWait = 250

const mebibyte = 1024 * 1024

/** All that a loader gets of the host's environment: where Node keeps what it has compiled, if it does. */
const compileCache = (): { readonly NODE_COMPILE_CACHE?: string } => {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
}

const tooMuchMemory = "reading them takes more memory than a plugin's modules may; bundle what it needs"

const reasonOf = (error: unknown): string =>
  error instanceof Error && Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY"
    ? tooMuchMemory
    : `the thread that was to read them failed (${messageOf(error)})`

export interface ThreadEvents {
  /** It can be given a job. */
  readonly ready: () => void
  /** It is no more. */
  readonly gone: () => void
}

/** What becomes of a job; told once. */
export type Done = (result: LoaderResult) => void

export class LoaderThread {
  readonly #worker: Worker
  readonly #compiled: Lru
  #jobs = 0
  #done: Done | undefined
  #reason = "the thread that was to read them has ended"
  #watch: NodeJS.Timeout | undefined
  readonly #exited: Promise<unknown>
  #gone = false
  /** Whether it takes no job any more. */
  ending = false

  constructor(compiled: Lru, events: ThreadEvents) {
    this.#compiled = compiled
    this.#worker = new Worker(file, {
      name: "agentlip-module-loader",
      execArgv: ["--no-warnings"],
      env: compileCache(),
      workerData: { conditions: hostConditions() },
      resourceLimits: { maxOldGenerationSizeMb: maxHeap }
    })
    // While it boots and while it is at a job it holds the host's process, as whoever waits for that does.
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
        // Before whoever waits for the job, who may give out the next.
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

  /** Ends it, whatever it is at; returns once it is gone or cannot be waited for. */
  async end(reason = this.#reason): Promise<void> {
    this.#reason = reason
    this.ending = true
    void this.#worker.terminate()
    await Promise.race([
      this.#exited,
      new Promise((resolve) => {
        setTimeout(resolve, endWait)
      })
    ])
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
      // It has ended meanwhile.
    }
  }
}
