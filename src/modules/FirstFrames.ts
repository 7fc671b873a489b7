/**
 * The modules that the last guest of each plugin was given first. The next guest gets them at once, without a loader
 * thread, if no path that was looked at for them has changed.
 */
import { Lru } from "../cache/Lru.ts"
import { haveChanged } from "../fileStates.ts"
import type { PostedFrame } from "../guest/node/threadLine.ts"
import type { Given } from "./loaderMessages.ts"

/** A copy, because a frame that is sent belongs to its receiver. */
export const copyOf = ({ head, body }: PostedFrame): PostedFrame => ({ head, body: body.slice() })

/** Bytes of all frames. */
const maxSize = 16 * 1024 * 1024

export class FirstFrames {
  readonly #byPlugin = new Lru<Given>({
    maxSize,
    sizeOf: ({ frame }) => frame.head.length + frame.body.length
  })

  /** The modules of a plugin. `watch`: files and folders whose states the caller needs; those of folders then count too. */
  get(plugin: string, watch: ReadonlyArray<string> | undefined): Given | undefined {
    const given = this.#byPlugin.get(plugin)
    if (given?.lookedAt === undefined) return undefined
    const { frame, files, lookedAt, watched } = given
    // A path has the earliest of its states.
    const states = new Map([...(watch === undefined ? [] : watched), ...files, ...lookedAt])
    if (watch?.some((file) => !states.has(file)) === true || haveChanged(states)) return undefined
    return { ...given, frame: copyOf(frame) }
  }

  set(plugin: string, given: Given): void {
    if (given.lookedAt !== undefined && !given.refused) {
      this.#byPlugin.set(plugin, { ...given, frame: copyOf(given.frame), stale: [] })
    }
  }

  /** A guest had to ask for more: the next one is to get that with the first frame. */
  drop(plugin: string): void {
    this.#byPlugin.delete(plugin)
  }
}
