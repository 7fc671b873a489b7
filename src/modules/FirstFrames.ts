/**
 * The modules that the last guest of each plugin was given first. The next guest gets them at once, without a loader
 * thread, if no path that was searched for them has changed.
 */
import { Lru, sizeOf } from "../cache/Lru.ts"
import { haveChanged } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Given } from "./loaderMessages.ts"
import { haveMoved } from "./SearchedPaths.ts"

/** A copy, because a frame that is sent belongs to its receiver. */
export const copyOf = ({ head, body }: PostedFrame): PostedFrame => ({ head, body: body.slice() })

const maxPlugins = 200

/** The most bytes of all plugins' frames and paths. */
const maxSize = 16 * 1024 * 1024

/** The most bytes of one plugin's. The host copies and compares them on its event loop. */
const maxPluginSize = 1024 * 1024

/** The most paths and states that are compared for a load. */
const maxStates = 200

const sizeOfGiven = ({ frame, files, watched, searched = new Map<string, string>() }: Given): number => {
  let size = sizeOf(frame.head) + frame.body.length
  for (const states of [files, watched, searched]) {
    for (const [file, state] of states) size += sizeOf(file) + sizeOf(state)
  }
  return size
}

export class FirstFrames {
  readonly #byKey = new Lru<Given>({ maxEntries: maxPlugins, maxSize, sizeOf: sizeOfGiven })

  /** With `watch`, also these files and folders, and the modules' folders, must be the same. */
  get(key: string, watch: ReadonlyArray<string> | undefined): Given | undefined {
    const given = this.#byKey.get(key)
    if (given?.searched === undefined || haveMoved(given.searched)) return undefined
    if (watch !== undefined) {
      const watched = new Map(given.watched)
      // The modules' files are among the paths that were searched.
      const known = new Map([...watched, ...given.files])
      if (watch.some((file) => !known.has(file)) || haveChanged(watched)) return undefined
    }
    return { ...given, frame: copyOf(given.frame) }
  }

  set(key: string, given: Given): void {
    this.drop(key)
    const { searched, watched } = given
    if (searched === undefined || searched.size + watched.length > maxStates) return
    if (sizeOfGiven(given) > maxPluginSize) return
    this.#byKey.set(key, { ...given, frame: copyOf(given.frame), stale: [] })
  }

  /** Call this when a guest had to ask for a module: the next guest's first frame will hold it too. */
  drop(key: string): void {
    this.#byKey.delete(key)
  }
}
