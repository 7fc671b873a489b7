/**
 * Runs plugins on messages and commits their findings.
 *
 * **Details**
 *
 * - A job is delivered at least once and takes effect once: its rows, its events and its end are one transaction, and
 *   a job that has ended is not run again.
 * - Outcomes that arrive while the database is busy are committed together. If that commit fails, each is committed
 *   alone, so that one bad outcome does not hold up the others.
 * - New findings replace what the plugin found in the message before. A failed run removes the old findings too, so
 *   that none of an earlier content remain once the jobs of the newest content have ended.
 * - While a plugin's breaker is open, its jobs wait and other plugins go on. If several hubs share the database, the
 *   jobs are given back, because the breaker of another hub may be closed.
 */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  extractor,
  linkifier,
  type PluginError,
  PluginErrorJson,
  PluginRuntime,
  type PluginSpec
} from "@agentlip/plugin-runtime"
import { Cause, Duration, Effect, Latch, Layer, Result, Schema, Semaphore, Stream } from "effect"
import { Committer, type Outcome } from "./Committer.ts"
import { JobStates } from "./JobStates.ts"
import { draftAttachment, draftEnrichment } from "./Findings.ts"
import { jobEnded } from "../core/HubMetrics.ts"
import type { JobError } from "@agentlip/protocol"
import { type ClaimedJob, JobQueue } from "./JobQueue.ts"
import { hasPlace, type Line, Lines } from "./Lines.ts"
import * as Precedence from "./Precedence.ts"
import { type Redactor, Secrets } from "../plugins/Secrets.ts"
import { Specs } from "../plugins/Specs.ts"
import { Hubs } from "../database/Hubs.ts"
import { storageFailure } from "../database/StorageFailure.ts"
import * as Trace from "../core/Trace.ts"

export interface DispatcherOptions {
  /** Runs of all plugins at the same time. Default 64. */
  readonly concurrency?: number
}

/** Give up after this many deliveries: the job crashes its process every time, or its database is broken. */
const maxDeliveries = 5
const restAfterFailure = "1 second"

/** The shortest pause before jobs that were given back are taken again, even if the plugin's cooldown is shorter. */
const shortestRest = Duration.millis(50)

/** Jobs read ahead for each plugin, so that many jobs cost as few statements as one. */
const readAhead = 32

/** Bounds of one commit, so that it never delays a post noticeably. */
const maxCommitJobs = 96
const maxCommitChars = 256 * 1024

/** From this many running jobs on, a commit waits for more outcomes, at most `gatherMoments` times. */
const manyJobs = 8
const gatherMoments = 5

interface Ready {
  readonly line: Line
  readonly outcome: Outcome
  readonly chars: number
  /** The trace context of the job's span. The commit belongs to the same trace. */
  readonly traceparent: string | undefined
}

const isLinkifier = (spec: ConfiguredSpec): spec is PluginSpec<typeof linkifier> =>
  spec.kind.name === linkifier.name
const isExtractor = (spec: ConfiguredSpec): spec is PluginSpec<typeof extractor> =>
  spec.kind.name === extractor.name

const encodeError = Schema.encodeEffect(PluginErrorJson)

const describe = (error: PluginError, { text, json }: Redactor): Effect.Effect<JobError> =>
  Effect.map(Effect.orDie(encodeError(error)), (encoded) => ({
    code: error._tag,
    message: text(error.message),
    error: json(encoded)
  }))

const undeliverable: JobError = {
  code: "DELIVERY_FAILED",
  message: `The job was begun ${maxDeliveries} times and never came to an end: the hub stopped or failed each time.`
}

const charsOf = (outcome: Outcome): number => {
  switch (outcome._tag) {
    case "Enrichments":
      return outcome.found.reduce((sum, { data_json }) => sum + data_json.length, 0)
    case "Attachments":
      return outcome.found.reduce((sum, { value_json }) => sum + value_json.length, 0)
    default:
      return 0
  }
}

/** Removes the first outcomes that fit into one commit from `ready`, and returns them. */
const nextGroup = (ready: Array<Ready>): ReadonlyArray<Ready> => {
  let count = 0
  for (let chars = 0; count < ready.length && count < maxCommitJobs; count++) {
    chars += ready[count]?.chars ?? 0
    if (count > 0 && chars > maxCommitChars) break
  }
  return ready.splice(0, count)
}

/** Handles every failure and defect. Interruption passes through. */
const unlessInterrupted = <A, E, R, R2>(
  self: Effect.Effect<A, E, R>,
  handle: (cause: Cause.Cause<E>) => Effect.Effect<void, never, R2>
): Effect.Effect<void, never, R | R2> =>
  Effect.catchCause(self, (cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.interrupt : handle(cause)
  ).pipe(Effect.asVoid)

const make = Effect.fnUntraced(function* ({ concurrency = 64 }: DispatcherOptions) {
  const specs = yield* Specs
  const hubs = yield* Hubs
  const secrets = yield* Secrets
  const queue = yield* JobQueue
  const jobStates = yield* JobStates
  const committer = yield* Committer
  const runtime = yield* PluginRuntime
  const breaker = yield* CircuitBreaker
  const slots = yield* Semaphore.make(concurrency)
  const scope = yield* Effect.scope
  const ready: Array<Ready> = []
  const isReady = Latch.makeUnsafe(false)

  const lines = new Lines(concurrency)
  /** Jobs taken for plugins that are no longer configured; they are given back. */
  let left: ReadonlyArray<ClaimedJob> = []
  const takeUp = (): void => {
    left = [...left, ...lines.replace(specs.current())]
    queue.arrivals.openUnsafe()
  }
  takeUp()
  specs.onChange(takeUp)

  const run = (spec: ConfiguredSpec, job: ClaimedJob): Effect.Effect<Outcome, PluginError> => {
    const { id, content_raw, sender, topic_id, channel_id, created_at } = job.message
    const input = { message: { id, content_raw, sender, topic_id, channel_id, created_at } }
    if (isLinkifier(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => ({
        _tag: "Enrichments",
        job,
        found: found.map(draftEnrichment)
      }))
    }
    if (isExtractor(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => ({
        _tag: "Attachments",
        job,
        found: found.map(draftAttachment)
      }))
    }
    return Effect.die(new Error(`The hub does not know the kind of the plugin ${spec satisfies never}`))
  }

  const untilRetry = (plugin: string, retryAfter: Duration.Duration) =>
    Effect.raceFirst(
      Effect.sleep(retryAfter),
      breaker.changes.pipe(
        Stream.filter(({ name, to }) => name === plugin && to._tag === "Closed"),
        Stream.runHead
      )
    )

  /** Gives back the jobs that were read ahead for a plugin. */
  const giveBackAhead = (line: Line) =>
    Effect.suspend(() => {
      const ahead = line.ahead.splice(0)
      return Effect.onError(queue.giveBack(ahead), () => Effect.sync(() => line.ahead.unshift(...ahead)))
    })

  /** Pauses a plugin on this hub until its breaker may let a run through. Other hubs can take its jobs meanwhile. */
  const rest = (line: Line, retryAfter: Duration.Duration) =>
    Effect.suspend(() => {
      if (line.resting) return Effect.void
      line.resting = true
      const goOn = Effect.sync(() => {
        line.resting = false
        line.emptyAt = -1
        queue.arrivals.openUnsafe()
      })
      return untilRetry(line.spec.name, Duration.max(retryAfter, shortestRest)).pipe(
        Effect.andThen(goOn),
        Effect.forkIn(scope),
        Effect.andThen(giveBackAhead(line))
      )
    })

  /** Runs the job until the breaker lets it through. Returns `undefined` if the job was given back instead. */
  const outcomeOf = Effect.fnUntraced(function* (line: Line, job: ClaimedJob) {
    if (job.attempts > maxDeliveries) return { _tag: "Failed", job, error: undeliverable } satisfies Outcome
    const { deleted_at, content_version } = job.message
    if (deleted_at !== null || content_version !== job.content_version) {
      return { _tag: "Overtaken", job } satisfies Outcome
    }
    if (job.again) {
      // Ignore a load failure here: the run below fails with the same error.
      yield* Effect.ignore(runtime.load(line.spec))
      yield* queue.beginAgain(job)
    }
    while (true) {
      // Read the spec again: it may have changed while the job waited.
      const { spec } = line
      const result = yield* Effect.result(slots.withPermit(run(spec, job)))
      if (Result.isSuccess(result)) {
        jobStates.resume(spec.name)
        return result.success
      }
      const error = yield* describe(result.failure, secrets.of(spec.name))
      if (result.failure._tag !== "CIRCUIT_OPEN") {
        jobStates.resume(spec.name)
        return { _tag: "Failed", job, error } satisfies Outcome
      }
      jobStates.wait(spec.name, error)
      if (!hubs.alone) {
        yield* rest(line, result.failure.retryAfter)
        yield* queue.giveBack([job])
        return undefined
      }
      yield* untilRetry(spec.name, result.failure.retryAfter)
    }
  })

  /** Frees a job that this process has finished with, whether it has ended or not. */
  const leave = (line: Line, job: ClaimedJob): void => {
    queue.release([job])
    line.begun--
    // While a job is delivered alone, the queue hands out no others of its plugin. Ask again now.
    if (line.begun === 0) line.emptyAt = -1
    queue.arrivals.openUnsafe()
  }

  const deliverAgain = (line: Line, job: ClaimedJob, cause: Cause.Cause<unknown>) =>
    Effect.logError("a job failed and will be delivered again", cause).pipe(
      Effect.annotateLogs({ plugin: line.spec.name }),
      Effect.andThen(Effect.sleep(restAfterFailure)),
      Effect.andThen(Effect.sync(() => leave(line, job))),
      Effect.forkIn(scope),
      Effect.asVoid
    )

  const begin = (line: Line, job: ClaimedJob) => {
    line.begun++
    const work = Effect.zipWith(outcomeOf(line, job), Trace.current, (outcome, traceparent) => {
      if (outcome === undefined) return leave(line, job)
      ready.push({ line, outcome, chars: charsOf(outcome), traceparent })
      isReady.openUnsafe()
    }).pipe(
      Trace.span(
        "derive",
        {
          "plugin.name": job.plugin_name,
          "message.id": job.message_id,
          "message.content_version": job.content_version,
          "job.delivery": job.attempts
        },
        job.traceparent ?? undefined
      )
    )
    return Effect.forkIn(
      unlessInterrupted(work, (cause) => deliverAgain(line, job, cause)),
      scope
    )
  }

  const commitAll = (group: ReadonlyArray<Ready>) =>
    Effect.tap(committer.commit(group.map(({ outcome }) => outcome)), (ended) =>
      Effect.forEach(
        ended,
        ({ outcome, end }) =>
          jobEnded(
            outcome.job.plugin_name,
            end,
            end === "committed" && "found" in outcome ? outcome.found.length : 0
          ),
        { discard: true }
      )
    )

  const write = (group: ReadonlyArray<Ready>): Effect.Effect<void> =>
    unlessInterrupted(
      Effect.map(
        // The commit gets a span in the trace of each of its jobs.
        group.reduce(
          (commit, { outcome, traceparent }) =>
            Trace.span("commit", { "plugin.name": outcome.job.plugin_name }, traceparent)(commit),
          commitAll(group)
        ),
        () => {
          for (const { line, outcome } of group) leave(line, outcome.job)
        }
      ),
      (cause) => {
        // A storage failure affects every job. Wait here, so that no job loses a delivery.
        const storage = storageFailure(cause)
        if (storage !== undefined) {
          return Effect.logError(`${group.length} jobs wait to be committed: ${storage.text}`).pipe(
            Effect.andThen(Effect.sleep(restAfterFailure)),
            Effect.andThen(Effect.suspend(() => write(group)))
          )
        }
        const [first, ...others] = group
        if (first === undefined) return Effect.void
        return others.length === 0
          ? deliverAgain(first.line, first.outcome.job, cause)
          : Effect.forEach(group, (one) => write([one]), { discard: true })
      }
    )

  /**
   * While many jobs run, wait a few milliseconds for more outcomes: a large commit costs little more than a small one.
   */
  const gather = Effect.gen(function* () {
    for (let waited = 0; waited < gatherMoments && ready.length < maxCommitJobs; waited++) {
      const { begun } = lines
      if (begun < manyJobs || ready.length >= begun) return
      yield* Precedence.moment
    }
  })

  /** Commits every outcome that is ready by the end of this turn of the event loop. */
  const commit = Effect.gen(function* () {
    yield* isReady.await
    yield* Effect.yieldNow
    yield* gather
    isReady.closeUnsafe()
    while (ready.length > 0) yield* write(nextGroup(ready))
  })

  const readOn = Effect.fnUntraced(function* () {
    const count = queue.arrived()
    const short = lines.all.filter(
      (line) => line.ahead.length === 0 && hasPlace(line) && line.emptyAt !== count
    )
    if (short.length === 0) return
    const readAgain = (): void => short.forEach((line) => (line.emptyAt = -1))
    // Set this before the queue is read: the queue may be waiting for a job that ends meanwhile.
    for (const line of short) line.emptyAt = count
    const { jobs, more } = yield* Effect.onError(
      queue.take(new Map(short.map(({ spec }) => [spec.name, readAhead]))),
      () => Effect.sync(readAgain)
    )
    const byPlugin = new Map(short.map((line) => [line.spec.name, line]))
    for (const job of jobs) {
      const line = byPlugin.get(job.plugin_name)
      if (line === undefined) continue
      line.ahead.push(job)
      line.emptyAt = -1
    }
    // The breaker may have opened during the read.
    for (const line of short) if (line.resting) yield* giveBackAhead(line)
    if (!more) return
    readAgain()
    queue.arrivals.openUnsafe()
  })

  /** Starts jobs that were read ahead, the plugins in turn, at most `most` of them. */
  const beginSome = Effect.fnUntraced(function* (most: number) {
    let left = most
    for (let any = true; any && left > 0; ) {
      any = false
      for (const line of lines.all) {
        const job = hasPlace(line) && left > 0 ? line.ahead.shift() : undefined
        if (job === undefined) continue
        any = true
        left--
        yield* begin(line, job)
      }
    }
  })

  const turn = Precedence.make(queue.offered)
  const canBegin = (): boolean => lines.all.some((line) => hasPlace(line) && line.ahead.length > 0)

  const giveBackLeft = Effect.gen(function* () {
    const jobs = left
    yield* queue.giveBack(jobs)
    left = left.slice(jobs.length)
  })

  const deliver = Effect.gen(function* () {
    yield* queue.arrivals.await
    queue.arrivals.closeUnsafe()
    yield* giveBackLeft
    yield* readOn()
    while (canBegin()) {
      yield* beginSome(yield* turn)
      yield* readOn()
    }
  })

  yield* Effect.forkScoped(Effect.forever(commit))
  yield* Effect.forkScoped(
    Effect.forever(
      unlessInterrupted(deliver, (cause) =>
        Effect.logError("the job queue could not be read", cause).pipe(
          Effect.andThen(Effect.sleep(restAfterFailure)),
          Effect.andThen(Effect.sync(() => void queue.arrivals.openUnsafe()))
        )
      )
    )
  )
})

/** Works through the queue until its scope closes, then gives unfinished jobs back. */
export const layer = (options: DispatcherOptions = {}) =>
  Layer.effectDiscard(make(options)).pipe(Layer.provide(Committer.layer))
