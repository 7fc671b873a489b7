/** Reads jobs from the queue before they can start, so that many jobs cost as few statements as one. */
import { Effect } from "effect"
import type { WakeUp } from "../core/WakeUp.ts"
import { Specs } from "../plugins/Specs.ts"
import type { ClaimedJob } from "./Job.ts"
import { JobQueue } from "./JobQueue.ts"
import type { PluginLine, PluginLines } from "./PluginLines.ts"

/** Jobs read ahead for each plugin. */
const readAhead = 32

/** Fills the lines, and rings `work` when there may be more to read. */
export const makeReadAhead = Effect.fnUntraced(function* (lines: PluginLines, work: WakeUp) {
  const specs = yield* Specs
  const queue = yield* JobQueue

  /** Jobs claimed for plugins that are no longer configured. */
  let left: ReadonlyArray<ClaimedJob> = []
  const takeUp = (): void => {
    left = [...left, ...lines.replace(specs.current())]
    work.ring()
  }
  takeUp()
  specs.onChange(takeUp)
  queue.onArrival(() => {
    lines.readAgain()
    work.ring()
  })

  /** Gives back the jobs that were read ahead for a plugin. */
  const giveBack = (line: PluginLine) =>
    Effect.suspend(() => {
      const ahead = line.ahead.splice(0)
      return Effect.onError(queue.giveBack(ahead), () => Effect.sync(() => line.ahead.unshift(...ahead)))
    })

  /** Gives back the jobs of plugins that are no longer configured. */
  const giveBackLeft = Effect.gen(function* () {
    const jobs = left
    yield* queue.giveBack(jobs)
    left = left.slice(jobs.length)
  })

  const read = Effect.gen(function* () {
    const { short } = lines
    if (short.length === 0) return
    // Set this before the queue is read: jobs that arrive meanwhile reset it.
    for (const line of short) line.exhausted = true
    const { jobs, more } = yield* Effect.onError(
      queue.take(new Map(short.map(({ spec }) => [spec.name, readAhead]))),
      () => Effect.sync(() => lines.readAgain())
    )
    const byPlugin = new Map(short.map((line) => [line.spec.name, line]))
    for (const job of jobs) {
      const line = byPlugin.get(job.plugin_name)
      if (line === undefined) continue
      line.ahead.push(job)
      line.exhausted = false
    }
    // The breaker may have opened during the read.
    for (const line of short) if (line.resting) yield* giveBack(line)
    if (!more) return
    for (const line of short) line.exhausted = false
    work.ring()
  })

  return { read, giveBack, giveBackLeft }
})
