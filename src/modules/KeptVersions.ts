/**
 * The version of each plugin that loaded well last: one whose files have changed since, and do not load any more, goes
 * on as it was until they change again. A version is what its guest was given, to be given again as it is.
 */
import type { FileStates } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Given } from "./loaderMessages.ts"

/** Looks at files, for the plugin of an entry. */
export interface Look {
  readonly haveChanged: (states: FileStates) => Promise<boolean>
  readonly statesOf: (files: ReadonlyArray<string>) => Promise<FileStates>
}

/** One load of a plugin: what its guest was given, and what that was made of. */
export class Version {
  /** By request; the entry's is asked for by none. */
  readonly frames = new Map<string, PostedFrame>()
  /** Of the files that were given. */
  readonly files = new Map<string, string>()
  /** Beside them the folders they are in, where a missing file would appear, and what the version before was made of. */
  readonly watched = new Map<string, string>()
  readonly integrity: string | undefined
  size = 0
  /** Whether all that loading it took has been added. */
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
    // A frame that is sent is the receiver's alone.
    this.frames.set(request, { head, body: body.slice() })
    if (!this.whole) this.size += head.length + body.length
  }
}

/** Bytes of all versions that are kept; those loaded longest ago make room for others. */
const maxSize = 64 * 1024 * 1024

export class KeptVersions {
  readonly #good = new Map<string, Version>()
  /** What is the matter with entries whose newest version does not load, until it changes. */
  readonly #broken = new Map<string, FileStates>()
  #size = 0

  /** What the version before was made of: it is looked at beside the files of the next. */
  watchedOf(entry: string): ReadonlyArray<string> {
    return [...(this.#good.get(entry)?.watched.keys() ?? [])]
  }

  /** Whether an earlier version may have to go on instead of the files. */
  isBroken(entry: string): boolean {
    return this.#broken.has(entry)
  }

  /** The version to go on with instead of the files, if those are as they were when they did not load. */
  async insteadOf(
    entry: string,
    integrity: string | undefined,
    look: Look
  ): Promise<{ readonly version: Version; readonly states: FileStates } | undefined> {
    const states = this.#broken.get(entry)
    if (states === undefined) return undefined
    if (await look.haveChanged(states)) {
      if (this.#broken.get(entry) === states) this.#broken.delete(entry)
      return undefined
    }
    const version = this.#goodFor(entry, integrity)
    return version === undefined ? undefined : { version, states }
  }

  loaded(entry: string, version: Version): void {
    version.whole = true
    this.#broken.delete(entry)
    this.#size += version.size - (this.#good.get(entry)?.size ?? 0)
    this.#good.delete(entry)
    this.#good.set(entry, version)
    for (const [oldest, { size }] of this.#good) {
      if (this.#size <= maxSize) break
      this.#good.delete(oldest)
      this.#size -= size
    }
  }

  /** Whether there is an earlier version to go on with. */
  async failed(entry: string, version: Version, look: Look): Promise<boolean> {
    const good = this.#goodFor(entry, version.integrity)
    // The same files have loaded before: they are not to blame.
    if (good === undefined || !(await differs(version, good, look))) return false
    // One that came to nothing at all has seen no file.
    const watched = version.watched.size > 0 ? version.watched : await look.statesOf([...good.watched.keys()])
    this.#broken.set(entry, watched)
    return true
  }

  /** What an operator has pinned is never replaced by something else. */
  #goodFor(entry: string, integrity: string | undefined): Version | undefined {
    const good = this.#good.get(entry)
    return integrity === undefined || good?.integrity === integrity ? good : undefined
  }
}

/** Whether a version is of other files than an earlier one, as far as it came. */
const differs = async (version: Version, before: Version, look: Look): Promise<boolean> => {
  for (const [file, state] of version.files) if (before.files.get(file) !== state) return true
  return look.haveChanged(before.files)
}
