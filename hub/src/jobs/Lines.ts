/** The plugins of a hub, each with its jobs in this process. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import type { Job } from "./JobQueue.ts"

/** One plugin. */
export interface Line {
  /** As its next run is to be. */
  spec: ConfiguredSpec
  /** How many of its jobs may be begun and not yet committed. */
  places: number
  readonly ahead: Array<Job>
  begun: number
  /** The count of arrivals at which the queue had nothing for it. */
  emptyAt: number
  /** Its breaker is open, and other hubs may have its jobs: none is begun here meanwhile. */
  resting: boolean
}

export const hasPlace = ({ begun, places, resting }: Line): boolean => !resting && begun < places

export class Lines {
  readonly #concurrency: number
  #all: ReadonlyArray<Line> = []

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get all(): ReadonlyArray<Line> {
    return this.#all
  }

  /** How many jobs are begun and not yet committed. */
  get begun(): number {
    return this.#all.reduce((sum, { begun }) => sum + begun, 0)
  }

  /** Makes these the plugins; answers the jobs that had been read for others and are nobody's now. */
  replace(specs: ReadonlyArray<ConfiguredSpec>): ReadonlyArray<Job> {
    const share = Math.floor(this.#concurrency / Math.max(1, specs.length))
    const before = new Map(this.#all.map((line) => [line.spec.name, line]))
    this.#all = specs.map((spec) => {
      const line = before.get(spec.name) ?? {
        spec,
        places: 0,
        ahead: [],
        begun: 0,
        emptyAt: -1,
        resting: false
      }
      before.delete(spec.name)
      line.spec = spec
      // One more than there are isolates: one run takes it, the next is prepared or committed meanwhile.
      line.places = Math.max(spec.concurrency + 1, share)
      line.emptyAt = -1
      return line
    })
    return [...before.values()].flatMap(({ ahead }) => ahead.splice(0))
  }
}
