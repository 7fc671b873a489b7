/** The claimed jobs of this process, one line per plugin. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import type { ClaimedJob } from "./Job.ts"

/** The line of one plugin. */
export interface PluginLine {
  /** The spec for the next run. */
  spec: ConfiguredSpec
  /** How many jobs may be started and not yet committed. */
  places: number
  readonly ahead: Array<ClaimedJob>
  begun: number
  /** The queue had no more jobs for this plugin when it was last read. */
  exhausted: boolean
  /** The breaker is open and other hubs may take the jobs, so this hub starts none. */
  resting: boolean
}

export const hasPlace = ({ begun, places, resting }: PluginLine): boolean => !resting && begun < places

export class PluginLines {
  readonly #concurrency: number
  #all: ReadonlyArray<PluginLine> = []

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get all(): ReadonlyArray<PluginLine> {
    return this.#all
  }

  /** How many jobs are started and not yet committed. */
  get begun(): number {
    return this.#all.reduce((sum, { begun }) => sum + begun, 0)
  }

  /** True if a job can start now. */
  get canBegin(): boolean {
    return this.#all.some((line) => hasPlace(line) && line.ahead.length > 0)
  }

  /** The lines for which the queue must be read. */
  get short(): ReadonlyArray<PluginLine> {
    return this.#all.filter((line) => line.ahead.length === 0 && hasPlace(line) && !line.exhausted)
  }

  /** The queue may have new jobs for every plugin. */
  readAgain(): void {
    for (const line of this.#all) line.exhausted = false
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
        exhausted: false,
        resting: false
      }
      before.delete(spec.name)
      line.spec = spec
      // One more than there are isolates: while one job runs, the next is prepared or committed.
      line.places = Math.max(spec.concurrency + 1, share)
      line.exhausted = false
      return line
    })
    return [...before.values()].flatMap(({ ahead }) => ahead.splice(0))
  }
}
