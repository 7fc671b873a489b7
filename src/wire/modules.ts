/** The module protocol: what a guest asks the host's module loader, and what the loader answers. */

/** A synchronous line to the host's module loader. */
export interface ModuleLine {
  readonly ask: (request: ModuleRequest) => ModuleFrame
}

/** The module line of a thread: it posts a request to the port, sleeps on the flag, and takes the frame. */
export interface ModuleChannel {
  readonly port: import("node:worker_threads").MessagePort
  readonly flag: SharedArrayBuffer
}

export interface ModuleRequest {
  readonly specifier: string
  readonly parent: string
  /** Whether `require()` asks: it resolves by other conditions than `import`. */
  readonly require: boolean
}

export type ModuleFormat = "module" | "commonjs" | "json" | "wasm"

/** JSON at the head of a frame: the requested module, and others that will be requested, in the order of their bytes. */
export type FrameHead =
  | {
      readonly modules: ReadonlyArray<readonly [url: string, format: ModuleFormat, bytes: number]>
      /** Which module asks for which: a parent in the frame has its index here, any other its URL. */
      readonly requests: ReadonlyArray<
        readonly [parent: number | string, specifier: string, require: 0 | 1, module: number]
      >
    }
  | ModuleRefused

/** Why a module cannot be loaded; `syntax` if it does not parse. */
export interface ModuleRefused extends ProblemOrigin {
  readonly error: string
  readonly syntax?: true
}

/** The answer of a loader. A process gets it as the head, a line feed, and the bytes of the modules. */
export interface ModuleFrame {
  readonly head: string
  /** UTF-8 between two offsets. */
  readonly text: (from: number, to: number) => string
  readonly bytes: (from: number, to: number) => Uint8Array
}

/** One module of a frame, as the guest uses it. */
export type ModuleAnswer =
  | { readonly url: string; readonly format: ModuleFormat; readonly source: string | Uint8Array }
  | ModuleRefused

/** A place in a module's source as its author wrote it: line and column count from 1. */
export interface ModulePlace {
  /** A path. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** The lines around it, the place marked; see `codeFrame`. */
  readonly frame: string
}

/** Where the problem of a module is. */
export interface ProblemOrigin {
  /** Path of the module that asked. */
  readonly importer?: string
  /** The import in that module, or the place in the module asked for that does not parse. */
  readonly place?: ModulePlace
}

/** Identifies a request: requests with the same key have the same answer. */
export const requestKey = ({ specifier, parent, require }: ModuleRequest): string =>
  `${require ? "require" : "import"}\n${parent}\n${specifier}`
