/**
 * The host's loader threads. Each works for one plugin at a time. A plugin with a long job does not delay the
 * others: the pool starts another thread.
 */
import { availableParallelism } from "node:os"
import { Lru, sizeOf } from "../cache/Lru.ts"
import { type Done, LoaderThread, threadUnavailable } from "./LoaderThread.ts"
import type { LoaderJob } from "./loaderMessages.ts"

/** Milliseconds. A thread that spends longer on one job no longer counts towards the limit of threads. */
const slowJobTime = 50

/** Milliseconds that a cancelled job may continue before its thread is ended. */
const cancelTime = 25

/** How long surplus threads without a job are kept, in milliseconds. One thread is always kept. */
const linger = 5_000

/** The most bytes of compiled sources to keep. */
const maxCompiled = 32 * 1024 * 1024

/** The problem that jobs get when the runtime closes. It does not count against the plugin. */
export const runtimeClosed = "the runtime was closed"

interface Pending {
  readonly job: LoaderJob
  readonly done: Done
}

/** The jobs of one plugin, in order. */
interface Queue {
  readonly key: string
  readonly pending: Array<Pending>
  /** The job that runs now. */
  current: Pending | undefined
  thread: LoaderThread | undefined
}

export class LoaderPool {
  readonly #compiled = new Lru({ maxEntries: 10_000, maxSize: maxCompiled, sizeOf })
  readonly #queues = new Map<string, Queue>()
  /** Plugins that wait for a thread, the longest wait first. */
  readonly #waiting = new Set<Queue>()
  readonly #threads = new Set<LoaderThread>()
  /** Threads without a job, and the plugin that each worked for last. */
  readonly #idle = new Map<LoaderThread, string>()
  readonly #old = new Set<LoaderThread>()
  #booting = 0
  closed = false
  #sweep: NodeJS.Timeout | undefined

  /**
   * Starts the first thread. Resolves when it is ready or has failed. Wait for it before the first job, so that the
   * start does not count towards a plugin's deadline.
   */
  start(): Promise<void> {
    return new Promise((resolve) => this.#boot(resolve))
  }

  /** Submits a job for a plugin, after its earlier jobs. Call the returned function to cancel. */
  submit(key: string, job: LoaderJob, done: Done): () => void {
    if (this.closed) {
      done({ type: "problem", problem: runtimeClosed })
      return () => {}
    }
    const queue = this.#queues.get(key) ?? { key, pending: [], current: undefined, thread: undefined }
    this.#queues.set(key, queue)
    const pending: Pending = { job, done }
    queue.pending.push(pending)
    if (queue.thread === undefined) this.#waiting.add(queue)
    this.#serve()
    return () => this.#cancel(queue, pending)
  }

  async close(): Promise<void> {
    this.closed = true
    clearTimeout(this.#sweep)
    for (const { pending } of this.#queues.values()) {
      for (const { done } of pending.splice(0)) done({ type: "problem", problem: runtimeClosed })
    }
    await Promise.all(Array.from(this.#threads, (thread) => thread.end(runtimeClosed)))
  }

  /** Gives idle threads to waiting plugins. Starts a thread if plugins still wait and the limit allows it. */
  #serve(): void {
    for (const queue of this.#waiting) {
      const thread = this.#take(queue.key)
      if (thread === undefined) break
      this.#waiting.delete(queue)
      queue.thread = thread
      this.#next(queue, thread)
    }
    const countedOn = this.#threads.size - this.#old.size
    if (this.#waiting.size > 0 && countedOn < availableParallelism()) this.#boot()
  }

  /** An idle thread, preferably the one that worked for this plugin last. */
  #take(key: string): LoaderThread | undefined {
    let found: LoaderThread | undefined
    for (const [thread, last] of this.#idle) {
      found = thread
      if (last === key) break
    }
    if (found !== undefined) this.#idle.delete(found)
    return found
  }

  #next(queue: Queue, thread: LoaderThread): void {
    const pending = queue.pending.shift()
    queue.current = pending
    if (pending === undefined) {
      queue.thread = undefined
      this.#queues.delete(queue.key)
      this.#idle.set(thread, queue.key)
      this.#sweepLater()
      return
    }
    const old = setTimeout(() => {
      this.#old.add(thread)
      // Start a spare thread, so that the next plugin finds one ready.
      if (this.#idle.size === 0 && this.#booting === 0) this.#boot()
    }, slowJobTime).unref()
    thread.run(pending.job, (result) => {
      clearTimeout(old)
      this.#old.delete(thread)
      queue.current = undefined
      pending.done(result)
      this.#goOn(queue, thread)
    })
  }

  #goOn(queue: Queue, thread: LoaderThread): void {
    if (this.closed) return
    if (!thread.ending && this.#threads.has(thread)) {
      this.#next(queue, thread)
    } else {
      queue.thread = undefined
      if (queue.pending.length > 0) this.#waiting.add(queue)
      else this.#queues.delete(queue.key)
    }
    this.#serve()
  }

  #cancel(queue: Queue, pending: Pending): void {
    const at = queue.pending.indexOf(pending)
    if (at >= 0) {
      queue.pending.splice(at, 1)
      if (queue.pending.length > 0 || queue.thread !== undefined) return
      this.#waiting.delete(queue)
      this.#queues.delete(queue.key)
      return
    }
    if (queue.current !== pending) return
    setTimeout(() => {
      if (queue.current === pending) void queue.thread?.end("its job was cancelled")
    }, cancelTime).unref()
  }

  #boot(ready: () => void = () => {}): void {
    if (this.closed) return
    this.#booting++
    let booting = true
    const over = (): void => {
      if (booting) this.#booting--
      booting = false
      ready()
    }
    const failed = (): void => {
      over()
      // Otherwise a thread that lives takes the jobs that wait.
      if (this.#threads.size === 0) this.#failAll()
    }
    try {
      const thread = new LoaderThread(this.#compiled, {
        ready: () => {
          over()
          this.#idle.set(thread, "")
          this.#serve()
          this.#sweepLater()
        },
        gone: () => {
          this.#threads.delete(thread)
          this.#idle.delete(thread)
          this.#old.delete(thread)
          if (booting) failed()
        }
      })
      this.#threads.add(thread)
    } catch {
      // The system has no more threads.
      failed()
    }
  }

  /** There is no thread, and none could be started: fails the jobs that wait, so that they do not wait forever. */
  #failAll(): void {
    const jobs = [...this.#waiting].flatMap((queue) => {
      this.#queues.delete(queue.key)
      return queue.pending.splice(0)
    })
    this.#waiting.clear()
    for (const { done } of jobs) done({ type: "problem", problem: threadUnavailable })
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined || this.closed) return
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined
      const surplus = [...this.#idle.keys()].slice(1)
      for (const thread of surplus) {
        this.#idle.delete(thread)
        void thread.end()
      }
    }, linger).unref()
  }
}
