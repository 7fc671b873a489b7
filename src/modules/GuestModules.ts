/**
 * The modules of one guest, on the host's side: answers the guest's requests and records what it sent.
 */
import { Effect } from "effect"
import { differ, type FileStates } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import { copyOf, type FirstFrames } from "./FirstFrames.ts"
import { messageOf } from "./LoadProblem.ts"
import { type KeptVersions, type Look, Version } from "./KeptVersions.ts"
import type { KnownRequests } from "./KnownRequests.ts"
import type { LoaderPool } from "./LoaderPool.ts"
import type { Given, LoaderJob, LoaderResult, PluginModules } from "./loaderMessages.ts"
import type { Roots } from "./ModulePolicy.ts"

/** Where the answers to a guest go. */
export interface ModuleReceiver {
  /** Sends a frame. The receiver owns the frame from then on. */
  readonly send: (frame: PostedFrame) => void
  /** Called if the guest breaks the protocol. */
  readonly broken: (what: string) => void
}

/** The most modules that one guest may load. */
const maxModules = 5_000

/** The most bytes of those modules. */
const maxBytes = 256 * 1024 * 1024

/** The most open requests. A guest waits for each answer, so it never has many. */
const maxOpen = 16

/**
 * The most requests that may be refused during the load, or during one run. Each costs the host a search of the disk, so
 * a plugin must not repeat them in a loop. Packages try a few dozen optional modules at most.
 */
const maxRefused = 500

export interface GuestModulesOptions {
  readonly guest: number
  readonly plugin: PluginModules
  readonly pool: LoaderPool
  readonly known: KnownRequests
  readonly frames: FirstFrames
  readonly kept: KeptVersions
  /** Whether to keep this version, to run it again if the files change and fail to load. */
  readonly keep: boolean
}

const failed = (message: string): PostedFrame => ({
  head: JSON.stringify({ error: message }),
  body: new Uint8Array()
})

export class GuestModules {
  readonly #options: GuestModulesOptions
  readonly #key: string
  readonly #version: Version
  /** The earlier version that is served instead of the files, and the states of the files that failed to load. */
  #instead: { readonly version: Version; readonly states: FileStates } | undefined
  #roots: Roots = []
  #given = 0
  #open = 0
  #refused = 0
  #broken: ModuleReceiver["broken"] = () => {}
  #last: Promise<unknown> = Promise.resolve()
  #cancel: () => void = () => {}
  #closed = false

  constructor(options: GuestModulesOptions) {
    this.#options = options
    this.#key = JSON.stringify([options.plugin.entry, options.plugin.integrity])
    this.#version = new Version(options.plugin.integrity, options.keep)
  }

  /**
   * Sends the entry at once. Returns the function that takes the guest's requests. The first request is for the
   * entry and is ignored, because its answer is already on the way.
   */
  serve({ send, broken }: ModuleReceiver): (request: unknown) => void {
    this.#broken = broken
    let isEntry = true
    const answer = (work: () => Promise<PostedFrame>): void => {
      if (this.#open >= maxOpen) return broken("requests for modules whose answers it does not wait for")
      this.#open++
      this.#last = this.#last.then(async () => {
        const frame = await work().catch((error: unknown) => failed(messageOf(error)))
        this.#open--
        if (!this.#closed) send(frame)
      })
    }
    answer(() => this.#first())
    return (request) => {
      // The answer was sent ahead.
      if (isEntry) isEntry = false
      else answer(() => this.#next(String(request)))
    }
  }

  /** Call this when the guest begins its load or a run. */
  began(): void {
    this.#refused = 0
  }

  /** Whether a file that the guest has loaded has changed since. */
  readonly changed: Effect.Effect<boolean> = Effect.callback<boolean>((resume) => {
    const states = this.#instead?.states ?? this.#version.files
    const job: LoaderJob = { type: "states", files: [...states.keys()] }
    const cancel = this.#options.pool.submit(this.#key, job, (result) =>
      resume(Effect.succeed(result.type !== "states" || differ(states, result.states)))
    )
    return Effect.sync(cancel)
  })

  /**
   * Run this when the plugin has loaded: keeps its version. Returns whether an earlier version was loaded instead
   * of the files.
   */
  readonly loaded: Effect.Effect<boolean> = Effect.sync(() => {
    if (this.#instead !== undefined) return true
    this.#options.kept.loaded(this.#options.plugin.entry, this.#version)
    return false
  })

  /** Run this when the plugin has failed to load. Returns whether another guest would get an earlier version. */
  readonly failed: Effect.Effect<boolean> = Effect.promise(
    async () =>
      this.#instead === undefined &&
      (await this.#options.kept.failed(this.#options.plugin.entry, this.#version, this.#look))
  )

  /** The guest has ended: cancels its running job. */
  close(): void {
    this.#closed = true
    this.#cancel()
  }

  /** Also when the guest has ended: `failed` needs it. */
  readonly #look: Look = async (files) => {
    const result = await this.#submit({ type: "states", files: [...files] })
    return result.type === "states" ? result.states : new Map()
  }

  /** Submits a job for the guest. If the guest has ended, nothing would cancel the job. */
  async #ask(job: LoaderJob): Promise<LoaderResult> {
    return this.#closed ? { type: "problem", problem: "the isolate has ended" } : this.#submit(job)
  }

  #submit(job: LoaderJob): Promise<LoaderResult> {
    return new Promise((resolve) => {
      this.#cancel = this.#options.pool.submit(this.#key, job, resolve)
    })
  }

  async #first(): Promise<PostedFrame> {
    const { plugin, guest, known, frames, kept, keep } = this.#options
    if (kept.isBroken(plugin.entry)) {
      this.#instead = await kept.insteadOf(plugin.entry, plugin.integrity, this.#look)
      if (this.#instead !== undefined) return this.#again("")
    }
    const watch = kept.watchedOf(plugin.entry)
    const again = frames.get(this.#key, keep ? watch : undefined)
    if (again !== undefined) return this.#take("", again)
    const result = await this.#ask({ type: "load", guest, plugin, known: known.of(this.#key), watch })
    if (result.type === "given") frames.set(this.#key, result)
    return this.#take("", result)
  }

  async #next(request: string): Promise<PostedFrame> {
    if (this.#instead !== undefined) return this.#again(request)
    const { plugin, guest } = this.#options
    const refused = this.#tooMuch()
    if (refused !== undefined) return this.#refuse(refused)
    return this.#take(request, await this.#ask({ type: "ask", guest, plugin, roots: this.#roots, request }))
  }

  #refuse(message: string): PostedFrame {
    this.#countRefusal()
    return failed(message)
  }

  #countRefusal(): void {
    if (++this.#refused !== maxRefused + 1) return
    this.#broken(`more than ${maxRefused} requests for modules that cannot be loaded, in one load or run`)
  }

  #tooMuch(): string | undefined {
    if (this.#version.files.size <= maxModules && this.#given <= maxBytes) return undefined
    return `the plugin has loaded more than ${maxModules} modules or ${maxBytes} bytes of them; bundle what it needs`
  }

  async #take(request: string, result: LoaderResult): Promise<PostedFrame> {
    if (result.type !== "given") {
      return this.#refuse(
        result.type === "problem" ? `Its modules cannot be had: ${result.problem}.` : "no answer"
      )
    }
    const { frame, refused, roots, stale } = result
    this.#roots = roots
    this.#given += frame.body.length
    if (refused) this.#countRefusal()
    for (const text of stale) this.#options.known.drop(this.#key, text)
    if (request !== "" && !refused) {
      this.#options.known.add(this.#key, request)
      this.#options.frames.drop(this.#key)
    }
    await this.#record(request, result)
    return frame
  }

  /** Adds a later import to the version, unless the version's files have changed since. */
  async #record(request: string, given: Given): Promise<void> {
    const version = this.#version
    if (version.whole && this.#options.keep && differ(version.files, await this.#look(version.files.keys())))
      return
    version.add(request, given)
  }

  #again(request: string): PostedFrame {
    const frame = this.#instead?.version.frames.get(request)
    if (frame !== undefined) return copyOf(frame)
    return this.#refuse(
      `Cannot load ${request}: the plugin's files have changed and fail to load, and its earlier version, which still runs, had not requested this module.`
    )
  }
}
