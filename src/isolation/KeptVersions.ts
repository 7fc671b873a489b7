/**
 * The version of each plugin that loaded well last: one whose files have changed since, and do not load any more, goes
 * on as it was until they change again.
 */
import * as path from "node:path"
import { keyOf, type ModuleText } from "../guest/ahead.ts"
import { type FileStates, haveChanged, stateOf } from "../fileStates.ts"
import type { ModuleRequest } from "../guest/protocol.ts"

/** One load of a plugin: what its guest was given, and what that was made of. */
export class Version {
  readonly texts = new Map<string, ModuleText>()
  /** Of the files that were given. */
  readonly files = new Map<string, string>()
  /** Beside them the folders they are in, where a missing file would appear, and what the version before was made of. */
  readonly watched: Map<string, string>
  readonly integrity: string | undefined
  size = 0
  #isWhole = false

  constructor(integrity: string | undefined, before: Version | undefined) {
    this.integrity = integrity
    this.watched = new Map(Array.from(before?.watched.keys() ?? [], (file) => [file, stateOf(file)]))
  }

  /** All that loading it took has been added. */
  whole(): void {
    this.#isWhole = true
  }

  add(request: ModuleRequest, text: ModuleText, file: string, state: string): void {
    // What is imported later is of this version as long as its files are.
    if (!this.#isWhole || !haveChanged(this.files)) this.texts.set(keyOf(request), text)
    if (!this.#isWhole) this.size += text.source.length
    this.files.set(file, state)
    this.watched.set(file, state)
    const folder = path.dirname(file)
    if (!this.watched.has(folder)) this.watched.set(folder, stateOf(folder))
  }

  /** Whether it is of other files than an earlier one, as far as it came. */
  differsFrom(before: Version): boolean {
    if (haveChanged(before.files)) return true
    for (const [file, state] of this.files) if (before.files.get(file) !== state) return true
    return false
  }
}

/** Characters of all versions that are kept; those loaded longest ago make room for others. */
const maxSize = 64 * 1024 * 1024

export class KeptVersions {
  readonly #good = new Map<string, Version>()
  /** What is the matter with entries whose newest version does not load, until it changes. */
  readonly #broken = new Map<string, FileStates>()
  #size = 0

  /** The version to go on with instead of the files, if those are as they were when they did not load. */
  insteadOf(
    entry: string,
    integrity: string | undefined
  ): { readonly version: Version; readonly states: FileStates } | undefined {
    const states = this.#broken.get(entry)
    if (states === undefined) return undefined
    if (haveChanged(states)) {
      this.#broken.delete(entry)
      return undefined
    }
    const version = this.#goodFor(entry, integrity)
    return version === undefined ? undefined : { version, states }
  }

  /** A load that begins now. */
  begin(entry: string, integrity: string | undefined): Version {
    return new Version(integrity, this.#good.get(entry))
  }

  loaded(entry: string, version: Version): void {
    version.whole()
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
  failed(entry: string, version: Version): boolean {
    const good = this.#goodFor(entry, version.integrity)
    // The same files have loaded before: they are not to blame.
    if (good === undefined || !version.differsFrom(good)) return false
    this.#broken.set(entry, version.watched)
    return true
  }

  /** What an operator has pinned is never replaced by something else. */
  #goodFor(entry: string, integrity: string | undefined): Version | undefined {
    const good = this.#good.get(entry)
    return integrity === undefined || good?.integrity === integrity ? good : undefined
  }
}
