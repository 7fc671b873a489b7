/** The jobs that this process has taken, one line per plugin. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import type { ClaimedJob } from "./JobQueue.ts"

/** The line of one plugin. */
export interface Line {
  /** The spec for the next run. */
  spec: ConfiguredSpec
  /** How many jobs may be started and not yet committed. */
  places: number
  readonly ahead: Array<ClaimedJob>
  begun: number
  /** The value of `queue.arrived()` when the queue last had no job for this plugin. */
  emptyAt: number
  /** The breaker is open and other hubs may take the jobs, so this hub starts none. */
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

  /** How many jobs are started and not yet committed. */
  get begun(): number {
    return this.#all.reduce((sum, { begun }) => sum + begun, 0)
  }

  /** Replaces the plugins. Returns the jobs that were read ahead for plugins that are gone. */
  replace(specs: ReadonlyArray<ConfiguredSpec>): ReadonlyArray<ClaimedJob> {
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
      // One more than there are isolates: while one job runs, the next is prepared or committed.
      line.places = Math.max(spec.concurrency + 1, share)
      line.emptyAt = -1
      return line
    })
    return [...before.values()].flatMap(({ ahead }) => ahead.splice(0))
  }
}
