/**
 * The loader threads of a host. Each works for one plugin at a time; no plugin waits behind another's job: a plugin
 * that holds its thread has another one started for those that come after it.
 */
import { availableParallelism } from "node:os"
import { Lru } from "../cache/Lru.ts"
import { type Done, LoaderThread } from "./LoaderThread.ts"
import type { LoaderJob } from "./loaderMessages.ts"

/** A thread at one job for so many milliseconds is not counted on any more. */
const patience = 50

/** How long a job that nobody waits for may go on before its thread is ended for it, in milliseconds. */
const mercy = 25

/** How long a thread without a job is kept, in milliseconds; one is always. */
const linger = 5_000

/** Bytes of compiled sources that are kept. */
const maxCompiled = 32 * 1024 * 1024

/** What a loader says that is on its way out with its runtime; no fault of any plugin's modules. */
export const runtimeClosed = "the runtime was closed"

interface Pending {
  readonly job: LoaderJob
  readonly done: Done
}

/** What is to be done for one plugin, in order. */
interface Queue {
  readonly key: string
  readonly pending: Array<Pending>
  /** What its thread is at. */
  current: Pending | undefined
  thread: LoaderThread | undefined
}

export class LoaderPool {
  readonly #compiled = new Lru(10_000, maxCompiled)
  readonly #queues = new Map<string, Queue>()
  /** Those without a thread, longest first. */
  readonly #waiting = new Set<Queue>()
  readonly #threads = new Set<LoaderThread>()
  /** Those without a job, and the plugin each has worked for last. */
  readonly #idle = new Map<LoaderThread, string>()
  readonly #old = new Set<LoaderThread>()
  #booting = 0
  closed = false
  #sweep: NodeJS.Timeout | undefined

  /** Resolves once there is a thread: no plugin's deadline is to pay for that. */
  start(): Promise<void> {
    return new Promise((resolve) => this.#boot(resolve))
  }

  /** Has a job done for a plugin, after those before it; the function that is returned takes it back. */
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

  /** Gives threads to those who wait, as long as there are any; starts one if none is to be counted on. */
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

  /** A thread without a job, by preference the one that knows the plugin. */
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
      // The next to come finds one ready.
      if (this.#idle.size === 0 && this.#booting === 0) this.#boot()
    }, patience).unref()
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
      if (queue.current === pending) void queue.thread?.end("nobody waits for it any more")
    }, mercy).unref()
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
    const thread = new LoaderThread(this.#compiled, {
      ready: () => {
        over()
        this.#idle.set(thread, "")
        this.#serve()
        this.#sweepLater()
      },
      gone: () => {
        const failed = booting
        over()
        this.#threads.delete(thread)
        this.#idle.delete(thread)
        this.#old.delete(thread)
        if (failed) this.#failOne()
      }
    })
    this.#threads.add(thread)
  }

  /** A thread that could not be started is not started again for the same one. */
  #failOne(): void {
    for (const queue of this.#waiting) {
      this.#waiting.delete(queue)
      this.#queues.delete(queue.key)
      for (const { done } of queue.pending.splice(0))
        done({ type: "problem", problem: "the thread that was to read them could not be started" })
      return
    }
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
