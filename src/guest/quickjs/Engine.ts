/**
 * Serves one plugin's requests with one QuickJS engine in one WebAssembly instance. It loads the plugin, and starts each
 * run from the memory as it was after the load. It passes the guest's protocol on to `realm.ts`, which runs inside the
 * engine.
 */
import type { QuickJSRuntime } from "quickjs-emscripten-core"
import { describeReason, quote } from "../shared/describe.ts"
import { decodeLoad, encodeReply, noTag, typeOf } from "../../wire/codec.ts"
import { type HostLine, ReplyType, RequestType } from "../../wire/messages.ts"
import { Deadline } from "./Deadline.ts"
import { explain, outOfMemoryReason } from "./explain.ts"
import { Idle } from "./host.ts"
import { Interpreter, newRuntime } from "./Interpreter.ts"
import { MemoryImage } from "./MemoryImage.ts"
import { EngineModules } from "./EngineModules.ts"
import type { CompiledModule, Memory } from "./webAssembly.ts"

const mebibyte = 1024 * 1024

/** How long timers that are due may run before the thread handles the host's messages, in milliseconds. */
const timersAtOnce = 10

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
  readonly #options: EngineOptions
  readonly #modules: EngineModules
  readonly #interpreter: Interpreter
  /** The memory that every run starts from, once the plugin is loaded. */
  readonly #image: MemoryImage
  /** Whether no request is active. If so, no plugin code may run. */
  #over = true
  readonly #deadline = new Deadline()
  #timer: NodeJS.Timeout | undefined
  /** In MiB. */
  #memoryLimit = 0

  static async start(options: EngineOptions): Promise<Engine> {
    return new Engine(await newRuntime(options.module, options.memory), options)
  }

  private constructor(runtime: QuickJSRuntime, options: EngineOptions) {
    this.#options = options
    this.#modules = new EngineModules(options.line.modules)
    this.#over = false
    this.#interpreter = new Interpreter(runtime, this.#modules, {
      post: (text) => this.#post(text),
      exit: options.end,
      mustStop: () => this.#mustStop(),
      escaped: (error) => this.#escaped(error)
    })
    this.#over = true
    this.#image = new MemoryImage(options.memory, this.#interpreter.heapAddress)
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
      this.#interpreter.turn(text)
      this.#goOn()
    })
  }

  #beginLoad(text: string): void {
    const { limits } = JSON.parse(decodeLoad(text))
    this.#deadline.set(limits.deadline)
    this.#memoryLimit = limits.memory
    this.#interpreter.limitMemory(limits.memory * mebibyte)
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

  /** Handles an error that escaped from the realm: an interrupt, or full memory. */
  #escaped(error: () => unknown): void {
    if (this.#over) return
    if (this.#deadline.isOver) throw new Overdue()
    const message = describeReason(error())
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
      this.#interpreter.drain()
      if (this.#over) return this.#settle()
      if (this.#deadline.isOver) throw new Overdue()
      const next = this.#interpreter.turn()
      if (next > 0 || (next === 0 && performance.now() > until)) {
        this.#timer = setTimeout(() => this.#guarded(() => this.#goOn()), Math.ceil(next))
        return
      }
      if (next < 0 && !this.#interpreter.hasJobs) {
        if (next === Idle.stuck) this.#mustHaveRoom()
        return
      }
    }
  }

  /** A plugin that waits for nothing may have run out of memory without being able to report it. */
  #mustHaveRoom(): void {
    if (this.#isFull && this.#interpreter.memoryUsed > 0.95 * this.#memoryLimit * mebibyte) {
      throw new Lost(outOfMemoryReason(this.#memoryLimit))
    }
  }

  /** After a reply: takes the image of the memory the first time, restores it every other time. */
  #settle(): void {
    this.#deadline.end()
    if (this.#image.taken) this.#image.restore()
    else this.#image.take()
  }
}
