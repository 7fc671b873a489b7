/** What the host and its loader threads say to each other. Nothing in it is shared: a thread can be ended at any time. */
import type { FileStates } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Roots } from "./ModulePolicy.ts"

/** Which modules are meant: those of an entry, and with `integrity` only if they are the ones it was made from. */
export interface PluginModules {
  readonly entry: string
  readonly integrity?: string
}

/** What a loader thread is asked, one after another. */
export type LoaderJob =
  /** The entry, with what it reaches and what else guests of this plugin have asked for: JSON of requests. */
  | {
      readonly type: "load"
      readonly guest: number
      readonly plugin: PluginModules
      readonly known: ReadonlyArray<string>
      /** Files and folders to be looked at first. */
      readonly watch: ReadonlyArray<string>
    }
  /** One module for a guest; `roots` as the answers to it before have said. */
  | {
      readonly type: "ask"
      readonly guest: number
      readonly plugin: PluginModules
      readonly roots: Roots
      readonly request: string
    }
  /** Whether files are other than they were. */
  | { readonly type: "changed"; readonly states: FileStates }
  /** How files are now. */
  | { readonly type: "states"; readonly files: ReadonlyArray<string> }
  /** The hash of an entry's module graph. */
  | { readonly type: "hash"; readonly entry: string }

/** A module for a guest, or several. */
export interface Given {
  readonly type: "given"
  readonly frame: PostedFrame
  /** The files in it, as they were. */
  readonly files: ReadonlyArray<readonly [file: string, state: string]>
  /** The folders they are in, and what was to be looked at. */
  readonly watched: ReadonlyArray<readonly [file: string, state: string]>
  /** What was known to be asked for, and cannot be had any more. */
  readonly stale: ReadonlyArray<string>
  readonly roots: Roots
  /** Whether there is none: the frame says why. */
  readonly refused: boolean
}

export type LoaderResult =
  | Given
  | { readonly type: "changed"; readonly changed: boolean }
  | { readonly type: "states"; readonly states: FileStates }
  /** `files`: all that can change the graph, folders in which a module is missing too. */
  | { readonly type: "hashed"; readonly integrity: string; readonly files: ReadonlyArray<string> }
  | { readonly type: "problem"; readonly problem: string }

/** What a loader thread posts. */
export type LoaderMessage =
  | { readonly type: "ready" }
  /** What a job came to; with `spent`, the thread is of no use any more. */
  | { readonly type: "done"; readonly job: number; readonly result: LoaderResult; readonly spent: boolean }
  | { readonly type: "find"; readonly key: string }
  | { readonly type: "keep"; readonly key: string; readonly code: string }

/** What it is sent. */
export type HostMessage =
  | { readonly type: "job"; readonly id: number; readonly job: LoaderJob }
  | { readonly type: "found"; readonly key: string; readonly code: string | undefined }
