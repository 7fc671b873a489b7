/**
 * QuickJS with the guest's realm in it. It runs code and jobs, loads modules and measures memory. It knows nothing of
 * requests: those are the engine's.
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
import { type EngineModules, first, realm } from "./EngineModules.ts"
import { type Host, Idle } from "./host.ts"
import { defineHost } from "./hostFunctions.ts"
import type { CompiledModule, Memory } from "./webAssembly.ts"

/** In bytes. With more, deep nesting overflows the thread's own stack, and the instance is lost. */
const maxStackSize = 128 * 1024

/** How many jobs to run before asking whether to stop. */
const jobsAtOnce = 64

/** A runtime in a WebAssembly instance of its own. */
export const newRuntime = async (wasmModule: CompiledModule, wasmMemory: Memory): Promise<QuickJSRuntime> => {
  // The types describe the CommonJS form. In the ES module the default export is the variant itself.
  const base: QuickJSSyncVariant = Reflect.get(baseVariant, "default") ?? baseVariant
  const quickjs = await newQuickJSWASMModuleFromVariant(newVariant(base, { wasmModule, wasmMemory }))
  return quickjs.newRuntime()
}

interface Calls {
  readonly post: Host["post"]
  readonly exit: Host["exit"]
  /** Whether code must stop where it is. */
  readonly mustStop: () => boolean
  /** Called with an error that escaped from the realm: an interrupt, or full memory. */
  readonly escaped: (error: () => unknown) => void
}

export class Interpreter {
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #calls: Calls
  #turn: QuickJSHandle | undefined
  #evaluate: QuickJSHandle | undefined

  constructor(runtime: QuickJSRuntime, modules: EngineModules, calls: Calls) {
    this.#runtime = runtime
    this.#calls = calls
    runtime.setMaxStackSize(maxStackSize)
    runtime.setInterruptHandler(calls.mustStop)
    const context = runtime.newContext()
    this.#context = context
    runtime.setModuleLoader(
      (name) => modules.source(name, (url) => this.#evaluated(url)),
      (parent, specifier) => modules.normalize(parent, specifier)
    )
    defineHost(context, {
      modules,
      post: calls.post,
      exit: calls.exit,
      serve: (turn, evaluate) => {
        this.#turn = turn
        this.#evaluate = evaluate
      }
    })
    context.unwrapResult(context.evalCode(`import "${realm}"`, first, { type: "module" })).dispose()
    this.drain()
  }

  /** An address in the heap: a handle's value is one. */
  get heapAddress(): number {
    return this.#started(this.#turn).value
  }

  /** Calls the realm's `Turn` function and returns its result: how to go on. */
  turn(text?: string): number {
    const result = this.#call(this.#turn, text)
    if (result.error !== undefined) {
      this.#escaped(result.error)
      return Idle.stuck
    }
    const next = this.#context.getNumber(result.value)
    result.value.dispose()
    return next
  }

  get hasJobs(): boolean {
    return this.#runtime.hasPendingJob()
  }

  /** Runs jobs until none are left or code must stop. */
  drain(): void {
    while (!this.#calls.mustStop() && this.hasJobs) {
      const result = this.#runtime.executePendingJobs(jobsAtOnce)
      if (result.error === undefined) result.dispose()
      else this.#escaped(result.error)
    }
  }

  /** In bytes. */
  limitMemory(bytes: number): void {
    this.#runtime.setMemoryLimit(bytes)
  }

  /** The memory in use, in bytes. */
  get memoryUsed(): number {
    const usage = this.#runtime.computeMemoryUsage()
    const { memory_used_size: used }: { readonly memory_used_size: number } = this.#context.dump(usage)
    usage.dispose()
    return used
  }

  #escaped(error: QuickJSHandle): void {
    this.#calls.escaped(() => this.#context.dump(error))
  }

  /** Runs a CommonJS module and returns the names of its exports. */
  #evaluated(url: string): ReadonlyArray<string> {
    const result = this.#call(this.#evaluate, url)
    if (result.error !== undefined) throw result.error
    const names: ReadonlyArray<string> = JSON.parse(this.#context.getString(result.value))
    result.value.dispose()
    return names
  }

  /** Calls a function of the realm. */
  #call(of: QuickJSHandle | undefined, text: string | undefined) {
    const context = this.#context
    const argument = text === undefined ? context.undefined : context.newString(text)
    const result = context.callFunction(this.#started(of), context.undefined, argument)
    argument.dispose()
    return result
  }

  #started(of: QuickJSHandle | undefined): QuickJSHandle {
    if (of === undefined) throw new Error("its realm did not start")
    return of
  }
}
