/** The part of `WebAssembly` that this level uses. Node's types leave it out. */

export interface Memory {
  readonly buffer: ArrayBuffer
}

/** In pages of 64 KiB. */
export interface MemorySize {
  readonly initial: number
  readonly maximum: number
}

/** Compiled once in the host, instantiated in each isolate. */
export type CompiledModule = object

interface WebAssembly {
  readonly Memory: new (size: MemorySize) => Memory
  readonly compile: (bytes: Uint8Array) => Promise<CompiledModule>
}

// Every supported runtime has it.
export const webAssembly: WebAssembly = Reflect.get(globalThis, "WebAssembly")
