/**
 * Groups outcomes into commits: outcomes that arrive while the database is busy are committed together.
 *
 * **Details**
 *
 * - If a group cannot be committed, each of its outcomes is committed alone, so that one bad outcome does not hold up
 *   the others.
 * - While the database refuses everything, the outcomes wait, so that no job loses a delivery.
 */
import { Cause, Effect } from "effect"
import * as Trace from "../core/Trace.ts"
import { WakeUp } from "../core/WakeUp.ts"
import { Outage } from "../database/Outage.ts"
import { storageFailure } from "../database/StorageFailure.ts"
import { Committer } from "./Committer.ts"
import type { Outcome } from "./Job.ts"

/** An outcome that waits for its commit. */
export interface Finished {
  readonly outcome: Outcome
  /** The trace context of the job's span. The commit belongs to the same trace. */
  readonly traceparent: string | undefined
  readonly committed: () => void
  /** The database refused this outcome, and not because of its own state. */
  readonly refused: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
}

/** Bounds of one commit, so that it never delays a post noticeably. */
const maxJobs = 96
const maxChars = 256 * 1024

/** How long a commit waits for the outcomes of other running jobs, in milliseconds: for a few jobs, and for many. */
const shortWait = 1
const longWait = 5

/** So many jobs are many. */
const manyJobs = 8

const restAfterFailure = "1 second"

const charsOf = ({ outcome }: Finished): number => {
  switch (outcome._tag) {
    case "Enrichments":
      return outcome.found.reduce((sum, { data_json }) => sum + data_json.length, 0)
    case "Attachments":
      return outcome.found.reduce((sum, { value_json }) => sum + value_json.length, 0)
    default:
      return 0
  }
}

/** Removes the first outcomes that fit into one commit, and returns them. */
const nextGroup = (ready: Array<Finished>): ReadonlyArray<Finished> => {
  let count = 0
  let chars = 0
  for (const one of ready) {
    chars += charsOf(one)
    if (count === maxJobs || (count > 0 && chars > maxChars)) break
    count++
  }
  return ready.splice(0, count)
}

/** Commits what is given to `add` until the scope closes. `running` counts the jobs that have not been committed. */
export const makeCommitGroups = Effect.fnUntraced(function* (running: () => number) {
  const committer = yield* Committer
  const ready: Array<Finished> = []
  const wakeUp = new WakeUp()
  const outage = new Outage({
    begun: "the database refuses commits: jobs wait to be committed",
    ended: "the database accepts commits again",
    level: "Error"
  })

  const write = (group: ReadonlyArray<Finished>): Effect.Effect<void> =>
    // The commit gets a span in the trace of each of its jobs.
    group
      .reduce(
        (commit, { outcome, traceparent }) =>
          Trace.span("commit", { "plugin.name": outcome.job.plugin_name }, traceparent)(commit),
        committer.commit(group.map(({ outcome }) => outcome))
      )
      .pipe(
        Effect.andThen(outage.over),
        Effect.map(() => {
          for (const { committed } of group) committed()
        }),
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
          const storage = storageFailure(cause)
          if (storage !== undefined) {
            return Effect.annotateLogs(outage.log(storage.text), { jobs: group.length }).pipe(
              Effect.andThen(Effect.sleep(restAfterFailure)),
              Effect.andThen(Effect.suspend(() => write(group)))
            )
          }
          const [first, ...others] = group
          if (first === undefined) return Effect.void
          return others.length === 0
            ? first.refused(cause)
            : Effect.forEach(group, (one) => write([one]), { discard: true })
        })
      )

  /** Called with each outcome while a commit waits for more. */
  let look = (): void => {}

  /** Waits a moment for the other running jobs: a commit of many costs little more than a commit of one. */
  const gather = Effect.callback<void>((resume) => {
    const isEnough = (): boolean => ready.length >= Math.min(maxJobs, running())
    if (isEnough()) return resume(Effect.void)
    const end = (): void => {
      clearTimeout(timer)
      look = () => {}
    }
    const enough = (): void => {
      end()
      resume(Effect.void)
    }
    const timer = setTimeout(enough, running() < manyJobs ? shortWait : longWait)
    look = () => {
      if (isEnough()) enough()
    }
    return Effect.sync(end)
  })

  /** Commits every outcome that is ready by the end of this turn of the event loop. */
  const commit = Effect.gen(function* () {
    yield* wakeUp.next
    // Its outcomes were committed with an earlier group.
    if (ready.length === 0) return
    yield* Effect.yieldNow
    yield* gather
    while (ready.length > 0) yield* write(nextGroup(ready))
  })
  yield* Effect.forkScoped(Effect.forever(commit))

  return {
    add: (finished: Finished): void => {
      ready.push(finished)
      wakeUp.ring()
      look()
    }
  }
})
