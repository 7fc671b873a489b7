/**
 * Works through the queue: fills the places of each plugin with jobs.
 *
 * **Details**
 *
 * - ReadAhead.ts claims jobs, Runner.ts takes a job to its outcome, and CommitGroups.ts commits outcomes.
 * - A job is delivered at least once and takes effect once: its rows, its events and its end are one transaction, and
 *   a job that has ended is not run again.
 * - New findings replace what the plugin found in the message before. A failed run removes the old findings too, so
 *   that none of an earlier content remain once the jobs of the newest content have ended.
 * - While a plugin's breaker is open, its jobs wait and other plugins go on. If several hubs share the database, the
 *   jobs are given back, because the breaker of another hub may be closed.
 */
import { Cause, Duration, Effect, Layer } from "effect"
import * as Trace from "../core/Trace.ts"
import { WakeUp } from "../core/WakeUp.ts"
import { Outage } from "../database/Outage.ts"
import { makeCommitGroups } from "./CommitGroups.ts"
import { Committer } from "./Committer.ts"
import type { ClaimedJob } from "./Job.ts"
import { JobQueue } from "./JobQueue.ts"
import { hasPlace, type PluginLine, PluginLines } from "./PluginLines.ts"
import * as Precedence from "./Precedence.ts"
import { makeReadAhead } from "./ReadAhead.ts"
import { makeRunner } from "./Runner.ts"

export interface DispatcherOptions {
  /** Runs of all plugins at the same time. Default 64. */
  readonly concurrency?: number
}

const restAfterFailure = "1 second"

/** The shortest pause before jobs that were given back are taken again, even if the plugin's cooldown is shorter. */
const shortestRest = Duration.millis(50)

/** Handles every failure and defect. Interruption passes through. */
const unlessInterrupted = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  handle: (cause: Cause.Cause<E>) => Effect.Effect<void>
): Effect.Effect<void, never, R> =>
  Effect.catchCause(Effect.asVoid(self), (cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.interrupt : handle(cause)
  )

const make = Effect.fnUntraced(function* ({ concurrency = 64 }: DispatcherOptions) {
  const queue = yield* JobQueue
  const scope = yield* Effect.scope
  const runner = yield* makeRunner(concurrency)
  const work = new WakeUp()
  const lines = new PluginLines(concurrency)
  const commits = yield* makeCommitGroups(() => lines.begun)

  const ahead = yield* makeReadAhead(lines, work)

  /** Pauses a plugin on this hub until its breaker may let a run through. Other hubs can take its jobs meanwhile. */
  const rest = (line: PluginLine, retryAfter: Duration.Duration) =>
    Effect.suspend(() => {
      if (line.resting) return Effect.void
      line.resting = true
      const goOn = Effect.sync(() => {
        line.resting = false
        line.exhausted = false
        work.ring()
      })
      return runner
        .untilRetry(line.spec.name, Duration.max(retryAfter, shortestRest))
        .pipe(Effect.andThen(goOn), Effect.forkIn(scope), Effect.andThen(ahead.giveBack(line)))
    })

  /** Frees the place of a job. */
  const leave = (line: PluginLine): void => {
    line.begun--
    // While a job is delivered alone, the queue hands out no others of its plugin. Ask again now.
    if (line.begun === 0) line.exhausted = false
    work.ring()
  }

  const deliverAgain = (line: PluginLine, job: ClaimedJob, cause: Cause.Cause<unknown>) =>
    Effect.logError("a job failed and will be delivered again", cause).pipe(
      Effect.annotateLogs({ plugin: line.spec.name }),
      Effect.andThen(Effect.sleep(restAfterFailure)),
      Effect.andThen(
        Effect.sync(() => {
          queue.release([job])
          leave(line)
        })
      ),
      Effect.forkIn(scope),
      Effect.asVoid
    )

  const runToOutcome = Effect.fnUntraced(function* (line: PluginLine, job: ClaimedJob) {
    const outcome = yield* runner.outcomeOf(() => line.spec, job)
    if (outcome._tag === "Refused") {
      yield* rest(line, outcome.retryAfter)
      yield* queue.giveBack([job])
      return leave(line)
    }
    commits.add({
      outcome,
      traceparent: yield* Trace.current,
      committed: () => {
        queue.ended(job)
        leave(line)
      },
      refused: (cause) => deliverAgain(line, job, cause)
    })
  })

  const begin = (line: PluginLine, job: ClaimedJob) => {
    line.begun++
    const work = Trace.span(
      "derive",
      {
        "plugin.name": job.plugin_name,
        "message.id": job.message_id,
        "message.content_version": job.content_version,
        "job.delivery": job.attempts
      },
      job.traceparent ?? undefined
    )(runToOutcome(line, job))
    return Effect.forkIn(
      unlessInterrupted(work, (cause) => deliverAgain(line, job, cause)),
      scope
    )
  }

  /** The place in the lines of the plugin whose turn it is. */
  let next = 0

  /**
   * Starts jobs that were read ahead, at most `most` of them. The plugins take turns, from one batch to the next too:
   * otherwise the last ones would fall behind.
   */
  const beginSome = Effect.fnUntraced(function* (most: number) {
    let left = most
    for (let passed = 0; left > 0 && passed < lines.all.length; next++) {
      const line = lines.all[next % lines.all.length]
      const job = line !== undefined && hasPlace(line) ? line.ahead.shift() : undefined
      if (line === undefined || job === undefined) {
        passed++
        continue
      }
      passed = 0
      left--
      yield* begin(line, job)
    }
    next %= Math.max(1, lines.all.length)
  })

  const turn = Precedence.make(queue.precedence)

  const outage = new Outage({
    begun: "the job queue could not be read",
    ended: "the job queue can be read again",
    level: "Error"
  })

  const deliver = Effect.gen(function* () {
    yield* work.next
    yield* ahead.giveBackLeft
    yield* ahead.read
    yield* outage.over
    while (lines.canBegin) {
      yield* beginSome(yield* turn)
      yield* ahead.read
    }
  })

  yield* unlessInterrupted(deliver, (cause) =>
    Effect.andThen(outage.log(cause), Effect.andThen(Effect.sleep(restAfterFailure), Effect.sync(work.ring)))
  ).pipe(Effect.forever, Effect.forkScoped)
})

/** Works through the queue until its scope closes, then gives unfinished jobs back. */
export const layer = (options: DispatcherOptions = {}) =>
  Layer.effectDiscard(make(options)).pipe(Layer.provide(Committer.layer))
