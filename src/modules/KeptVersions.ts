/**
 * The last version of each plugin that loaded. If a plugin's files change and fail to load, the kept version runs
 * until the files change again. A version consists of the frames that its guest was given, to send again.
 */
import { Lru } from "../cache/Lru.ts"
import { differ, type FileStates } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Given } from "./loaderMessages.ts"

/** Returns the current states of files; no state of a file that could not be checked. */
export type Look = (files: Iterable<string>) => Promise<FileStates>

/** One load of a plugin: the frames that its guest was given, and the files behind them. */
export class Version {
  /** Frames by request. The entry's key is the empty string. */
  readonly frames = new Map<string, PostedFrame>()
  /** The states of the files in the frames. */
  readonly files = new Map<string, string>()
  /**
   * The states of the files, of their folders (where a missing file would appear), and of all that the previous
   * version watched.
   */
  readonly watched = new Map<string, string>()
  readonly integrity: string | undefined
  size = 0
  /** Whether the plugin has loaded: everything it needed for that has been added. */
  whole = false
  readonly #keeps: boolean

  constructor(integrity: string | undefined, keeps: boolean) {
    this.integrity = integrity
    this.#keeps = keeps
  }

  add(request: string, { frame, files, watched }: Given): void {
    for (const [file, state] of watched) if (!this.watched.has(file)) this.watched.set(file, state)
    for (const [file, state] of files) {
      this.files.set(file, state)
      this.watched.set(file, state)
    }
    if (this.#keeps && files.length > 0) this.keep(request, frame)
  }

  keep(request: string, { head, body }: PostedFrame): void {
    // Copied, because a frame that is sent belongs to its receiver.
    this.frames.set(request, { head, body: body.slice() })
    if (!this.whole) this.size += head.length + body.length
  }
}

/** The most bytes of frames that all kept versions had when they loaded; later imports are not counted. */
const maxSize = 64 * 1024 * 1024

export class KeptVersions {
  readonly #good = new Lru<Version>({ maxSize, sizeOf: ({ size }) => size })
  /** For entries whose newest version fails to load: the states to compare with, until something changes. */
  readonly #broken = new Map<string, FileStates>()

  /** The files and folders that the previous version watched. The next version watches them too. */
  watchedOf(entry: string): ReadonlyArray<string> {
    return [...(this.#good.get(entry)?.watched.keys() ?? [])]
  }

  /** Whether an earlier version may have to run instead of the files. */
  isBroken(entry: string): boolean {
    return this.#broken.has(entry)
  }

  /** The version to run instead of the files, if the files are still those that failed to load. */
  async insteadOf(
    entry: string,
    integrity: string | undefined,
    look: Look
  ): Promise<{ readonly version: Version; readonly states: FileStates } | undefined> {
    const states = this.#broken.get(entry)
    if (states === undefined) return undefined
    if (differ(states, await look(states.keys()))) {
      if (this.#broken.get(entry) === states) this.#broken.delete(entry)
      return undefined
    }
    const version = this.#goodFor(entry, integrity)
    return version === undefined ? undefined : { version, states }
  }

  loaded(entry: string, version: Version): void {
    version.whole = true
    this.#broken.delete(entry)
    this.#good.set(entry, version)
  }

  /** Records a failed load. Returns whether there is an earlier version to run instead. */
  async failed(entry: string, version: Version, look: Look): Promise<boolean> {
    const good = this.#goodFor(entry, version.integrity)
    // The same files have loaded before, so they are not the cause.
    if (good === undefined || !(await differs(version, good, look))) return false
    // A load that failed at once has recorded no files: watch the previous version's.
    const watched = version.watched.size > 0 ? version.watched : await look(good.watched.keys())
    // No state could be had, so nothing would tell that the files have been repaired.
    if (watched.size === 0) return false
    this.#broken.set(entry, watched)
    return true
  }

  /**
   * The kept version of an entry. If the operator has pinned the plugin's integrity, only a version with that
   * integrity.
   */
  #goodFor(entry: string, integrity: string | undefined): Version | undefined {
    const good = this.#good.get(entry)
    return integrity === undefined || good?.integrity === integrity ? good : undefined
  }
}

/** Whether a version's files differ from an earlier version's, as far as they were loaded. */
const differs = async (version: Version, before: Version, look: Look): Promise<boolean> => {
  for (const [file, state] of version.files) if (before.files.get(file) !== state) return true
  return differ(before.files, await look(before.files.keys()))
}
