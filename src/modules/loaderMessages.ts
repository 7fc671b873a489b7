/**
 * The messages between the host and its loader threads. They share no memory, so a thread can be ended at any time.
 */
import type { FileStates } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Roots } from "./ModulePolicy.ts"
import type { Places } from "./SearchedPaths.ts"

/** The modules of the plugin at `entry`. With `integrity`, only if the modules have that hash. */
export interface PluginModules {
  readonly entry: string
  readonly integrity?: string
}

/** A job for one guest. */
export type GuestJob =
  /**
   * The entry, the modules it imports, and those that earlier guests of the plugin requested (`known`, requests as
   * JSON).
   */
  | {
      readonly type: "load"
      readonly guest: number
      readonly plugin: PluginModules
      readonly known: ReadonlyArray<string>
      /** Files and folders whose states are taken before loading. */
      readonly watch: ReadonlyArray<string>
    }
  /** One module for a guest. `roots` are those of the guest's last answer. */
  | {
      readonly type: "ask"
      readonly guest: number
      readonly plugin: PluginModules
      readonly roots: Roots
      readonly request: string
    }

/** A job for a loader thread. A thread runs one at a time. */
export type LoaderJob =
  | GuestJob
  /** The current states of files. */
  | { readonly type: "states"; readonly files: ReadonlyArray<string> }
  /** The hash of an entry's module graph. */
  | { readonly type: "hash"; readonly entry: string }

/** One or more modules for a guest. */
export interface Given {
  readonly type: "given"
  readonly frame: PostedFrame
  /** The states of the files in the frame. */
  readonly files: ReadonlyArray<readonly [file: string, state: string]>
  /** The states of these files' folders, and of the job's `watch`. */
  readonly watched: ReadonlyArray<readonly [file: string, state: string]>
  /** Of a `load`: what was at all paths that were searched; `undefined` if the frame must not be given to another guest. */
  readonly searched: Places | undefined
  /** The known requests that no longer resolve. */
  readonly stale: ReadonlyArray<string>
  readonly roots: Roots
  /** Whether the request was refused. The frame then contains the reason. */
  readonly refused: boolean
}

export type LoaderResult =
  | Given
  | { readonly type: "states"; readonly states: FileStates }
  /** `files` are all that can change the graph, including folders in which a module is missing. */
  | { readonly type: "hashed"; readonly integrity: string; readonly files: ReadonlyArray<string> }
  | { readonly type: "problem"; readonly problem: string }

/** The messages of a loader thread. */
export type LoaderMessage =
  | { readonly type: "ready" }
  /** The result of a job. If `spent` is set, the thread can run no more jobs. */
  | { readonly type: "done"; readonly job: number; readonly result: LoaderResult; readonly spent: boolean }
  | { readonly type: "find"; readonly key: string }
  | { readonly type: "keep"; readonly key: string; readonly code: string }

/** The messages to a loader thread. */
export type HostMessage =
  | { readonly type: "job"; readonly id: number; readonly job: LoaderJob }
  | { readonly type: "found"; readonly key: string; readonly code: string | undefined }
