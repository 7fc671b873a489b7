/**
 * The paths that a search for modules has looked at, each with its state just before. While no state has changed, another
 * search would find the same modules.
 */
import { type FileStates, stateOf } from "../fileStates.ts"

/** The most paths that the host compares for a load. Beyond it, a loader thread searches each time. */
const maxPaths = 100

export class LookedAt {
  #states: Map<string, string> | undefined = new Map()

  add(file: string): void {
    if (this.#states === undefined || this.#states.has(file)) return
    if (this.#states.size >= maxPaths) this.#states = undefined
    else this.#states.set(file, stateOf(file))
  }

  /** `undefined` if there are too many paths. */
  get states(): FileStates | undefined {
    return this.#states
  }
}
