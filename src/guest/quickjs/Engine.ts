/**
 * One QuickJS engine in one WebAssembly instance. It loads one plugin, and starts each run from the memory as it
 * was after the load. It passes the guest's protocol on to `realm.ts`, which runs inside the engine.
 */
import baseVariant from "@jitl/quickjs-ng-wasmfile-release-sync"
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
  type QuickJSSyncVariant
} from "quickjs-emscripten-core"
import { describeReason, quote } from "../shared/describe.ts"
import { decodeLoad, encodeReply, noTag, typeOf } from "../../wire/codec.ts"
import { type HostLine, ReplyType, RequestType } from "../../wire/messages.ts"
import { Deadline } from "./Deadline.ts"
import { explain, outOfMemoryReason } from "./explain.ts"
import { Idle } from "./host.ts"
import { defineHost } from "./hostFunctions.ts"
import { MemoryImage } from "./MemoryImage.ts"
import { EngineModules, first, realm } from "./EngineModules.ts"
import type { CompiledModule, Memory } from "./webAssembly.ts"

/** In bytes. With more, deep nesting overflows the thread's own stack, and the instance is lost. */
const maxStackSize = 128 * 1024

const mebibyte = 1024 * 1024

/** How long timers that are due may run before the thread handles the host's messages, in milliseconds. */
const timersAtOnce = 10

/** How many jobs to run before checking whether the plugin has replied. */
const jobsAtOnce = 64

/** The replies that end a request. */
const final: ReadonlySet<string> = new Set([
  ReplyType.loaded,
  ReplyType.loadFailed,
  ReplyType.output,
  ReplyType.thrown,
  ReplyType.uncrossable,
  ReplyType.crashed
])

/** The replies that may contain a stack. */
const showsPlaces: ReadonlySet<string> = new Set([ReplyType.thrown, ReplyType.loadFailed, ReplyType.log])

/** Ends the isolate. The message becomes the cause of death. */
class Lost extends Error {}

/** Ends a request that has exceeded its deadline. Nothing is sent, because the host reports the timeout itself. */
class Overdue extends Error {}

export interface EngineOptions {
  readonly module: CompiledModule
  readonly memory: Memory
  readonly line: HostLine
  /** Ends the thread. */
  readonly end: (code: number) => void
}

export class Engine {
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #options: EngineOptions
  readonly #modules: EngineModules
  #turn: QuickJSHandle | undefined
  #evaluate: QuickJSHandle | undefined
  /** The memory that every run starts from, once the plugin is loaded. */
  readonly #image: MemoryImage
  /** Whether no request is active. If so, no plugin code may run. */
  #over = true
  readonly #deadline = new Deadline()
  #timer: NodeJS.Timeout | undefined
  /** In MiB. */
  #memoryLimit = 0

  static async start(options: EngineOptions): Promise<Engine> {
    const { module: wasmModule, memory: wasmMemory } = options
    // The types describe the CommonJS form. In the ES module the default export is the variant itself.
    const base: QuickJSSyncVariant = Reflect.get(baseVariant, "default") ?? baseVariant
    const engine = await newQuickJSWASMModuleFromVariant(newVariant(base, { wasmModule, wasmMemory }))
    return new Engine(engine.newRuntime(), options)
  }

  private constructor(runtime: QuickJSRuntime, options: EngineOptions) {
    this.#runtime = runtime
    this.#options = options
    this.#modules = new EngineModules(options.line.modules)
    runtime.setMaxStackSize(maxStackSize)
    runtime.setInterruptHandler(() => this.#mustStop())
    this.#context = runtime.newContext()
    runtime.setModuleLoader(
      (name) => this.#source(name),
      (parent, specifier) => this.#modules.normalize(parent, specifier)
    )
    defineHost(this.#context, {
      modules: this.#modules,
      post: (text) => this.#post(text),
      exit: options.end,
      serve: (turn, evaluate) => {
        this.#turn = turn
        this.#evaluate = evaluate
      }
    })
    this.#over = false
    this.#context
      .unwrapResult(this.#context.evalCode(`import "${realm}"`, first, { type: "module" }))
      .dispose()
    this.#drain()
    this.#over = true
    if (this.#turn === undefined) throw new Lost("its realm did not start")
    // A handle's value is an address in the heap.
    this.#image = new MemoryImage(options.memory, this.#turn.value)
  }

  /** Handles a message from the host. */
  receive(text: string): void {
    this.#guarded(() => {
      const type = typeOf(text)
      if (type === RequestType.load) this.#beginLoad(text)
      else if (type === RequestType.run) this.#over = false
      // A late message for a run that has ended.
      else if (this.#over) return
      if (type !== RequestType.net && type !== RequestType.abort) this.#deadline.begin()
      this.#call(text)
      this.#goOn()
    })
  }

  #beginLoad(text: string): void {
    const { limits } = JSON.parse(decodeLoad(text))
    this.#deadline.set(limits.deadline)
    this.#memoryLimit = limits.memory
    this.#runtime.setMemoryLimit(limits.memory * mebibyte)
    this.#over = false
  }

  /** Runs `work`. An error outside the plugin's code ends the isolate, with a reason. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (error instanceof Overdue) {
        this.#over = true
        return
      }
      // If memory is full, the engine itself may fail with any error.
      const reason =
        error instanceof Lost
          ? error.message
          : this.#isFull
            ? outOfMemoryReason(this.#memoryLimit)
            : `the engine failed: ${describeReason(error)}`
      this.#options.line.post(encodeReply(ReplyType.crashed, noTag, quote(reason)))
      this.#options.end(1)
    }
  }

  #mustStop(): boolean {
    return this.#over || this.#deadline.isOver
  }

  #post(text: string): void {
    const type = typeOf(text)
    // While no request is active, only the initial hello is sent.
    if (this.#over && type !== ReplyType.hello) return
    if (final.has(type)) this.#over = true
    const memory = { limit: this.#memoryLimit, full: this.#isFull }
    const said = explain(text, memory, (message) => this.#modules.originOf(message))
    this.#options.line.post(showsPlaces.has(typeOf(said)) ? this.#modules.inAuthorLines(said) : said)
    if (typeOf(said) === ReplyType.crashed) this.#options.end(1)
  }

  /** Calls the realm's `Turn` function and returns its result: how to go on. */
  #call(text: string | undefined): number {
    const context = this.#context
    if (this.#turn === undefined) throw new Lost("its realm did not start")
    const argument = text === undefined ? context.undefined : context.newString(text)
    const result = context.callFunction(this.#turn, context.undefined, argument)
    argument.dispose()
    if (result.error !== undefined) return this.#failed(result.error)
    const next = context.getNumber(result.value)
    result.value.dispose()
    return next
  }

  /** Runs jobs until none are left, the plugin has replied or the deadline has passed. */
  #drain(): void {
    while (!this.#mustStop() && this.#runtime.hasPendingJob()) {
      const result = this.#runtime.executePendingJobs(jobsAtOnce)
      if (result.error !== undefined) this.#failed(result.error)
      else result.dispose()
    }
  }

  /** Handles an error that escaped from the realm: an interrupt, or full memory. */
  #failed(error: QuickJSHandle): number {
    if (this.#over) return Idle.stuck
    if (this.#deadline.isOver) throw new Overdue()
    const what: unknown = this.#context.dump(error)
    const message = describeReason(what)
    throw new Lost(
      this.#isFull || /out of memory/.test(message)
        ? outOfMemoryReason(this.#memoryLimit)
        : `uncaught ${message}`
    )
  }

  /** An instance's memory never shrinks, so this shows the most that was ever used, not the current use. */
  get #isFull(): boolean {
    return this.#options.memory.buffer.byteLength >= this.#memoryLimit * mebibyte
  }

  /** Runs jobs and timers until the plugin has replied or must wait. */
  #goOn(): void {
    clearTimeout(this.#timer)
    const until = performance.now() + timersAtOnce
    for (;;) {
      this.#drain()
      if (this.#over) return this.#settle()
      if (this.#deadline.isOver) throw new Overdue()
      const next = this.#call(undefined)
      if (next > 0 || (next === 0 && performance.now() > until)) {
        this.#timer = setTimeout(() => this.#guarded(() => this.#goOn()), Math.ceil(next))
        return
      }
      if (next < 0 && !this.#runtime.hasPendingJob()) {
        if (next === Idle.stuck) this.#mustHaveRoom()
        return
      }
    }
  }

  /** A plugin that waits for nothing may have run out of memory without being able to report it. */
  #mustHaveRoom(): void {
    if (!this.#isFull) return
    const usage = this.#runtime.computeMemoryUsage()
    const { memory_used_size: used }: { readonly memory_used_size: number } = this.#context.dump(usage)
    usage.dispose()
    if (used > 0.95 * this.#memoryLimit * mebibyte) throw new Lost(outOfMemoryReason(this.#memoryLimit))
  }

  /** After a reply: takes the image of the memory the first time, restores it every other time. */
  #settle(): void {
    this.#deadline.end()
    if (this.#image.taken) this.#image.restore()
    else this.#image.take()
  }

  #source(name: string) {
    const context = this.#context
    return this.#modules.source(name, (url) => {
      if (this.#evaluate === undefined) throw new Lost("its realm did not start")
      const argument = context.newString(url)
      const result = context.callFunction(this.#evaluate, context.undefined, argument)
      argument.dispose()
      if (result.error !== undefined) throw result.error
      const names: ReadonlyArray<string> = JSON.parse(context.getString(result.value))
      result.value.dispose()
      return names
    })
  }
}
