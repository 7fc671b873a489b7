/**
 * The paths that a search for modules looks at, each with what was there just before. While that has not changed,
 * another search would find the same modules.
 */
import * as fs from "node:fs"
import { changedAt, coarseness, stateIn } from "../fileStates.ts"
import { realOf } from "../paths.ts"

/**
 * What is at each path: its state and real path, or nothing. A link can be switched to a folder that has a hard link to
 * the same file, but other files beside it.
 */
export type Places = ReadonlyMap<string, string>

interface Place {
  readonly place: string
  /** `undefined` if there is nothing. */
  readonly real: string | undefined
  /** Whether it changed so long ago that another change will be seen. */
  readonly settled: boolean
}

const nothing: Place = { place: "", real: undefined, settled: true }

const placeOf = (file: string): Place => {
  try {
    const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return nothing
    const real = fs.realpathSync.native(file)
    return { place: `${stateIn(stat)} ${real}`, real, settled: changedAt(stat) < Date.now() - coarseness }
  } catch {
    // Unreadable, or gone meanwhile.
    return nothing
  }
}

/** Whether another file or folder is at a path than was, or it has changed. */
export const haveMoved = (places: Places): boolean => {
  for (const [file, place] of places) if (placeOf(file).place !== place) return true
  return false
}

/** The most paths that the host compares for a load. Beyond it, a loader thread searches each time. */
const maxPaths = 100

export class SearchedPaths {
  #places: Map<string, string> | undefined = new Map()
  /** Where links lead. */
  readonly #targets = new Set<string>()

  add(file: string): void {
    if (this.#places === undefined || this.#places.has(file)) return
    try {
      const { place, real = realOf(file), settled } = placeOf(file)
      if (real !== file) this.#targets.add(real)
      if (settled && this.#places.size < maxPaths) this.#places.set(file, place)
      else this.giveUp()
    } catch {
      // It is unknown where the path leads.
      this.giveUp()
    }
  }

  /** Forgets the paths, and records no more. */
  giveUp(): void {
    this.#places = undefined
  }

  /**
   * Records no more. Returns `undefined` if it has given up, or if a link leads to a path that is not admitted: the host
   * must not follow it.
   */
  end(admits: (real: string) => boolean): Places | undefined {
    const places = this.#places
    this.giveUp()
    return [...this.#targets].every(admits) ? places : undefined
  }
}
