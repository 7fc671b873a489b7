/** Takes a claimed job to its outcome: runs the plugin on the message, and waits while the plugin's breaker is open. */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  CurrentRunObserver,
  extractor,
  linkifier,
  type PluginError,
  PluginRuntime,
  type PluginSpec
} from "@agentlip/plugin-runtime"
import type { JobError } from "@agentlip/protocol"
import { type Duration, Effect, Result, Semaphore, Stream } from "effect"
import { Hubs } from "../database/Hubs.ts"
import { RecentRuns, type RunRecorder } from "../plugins/RecentRuns.ts"
import { Secrets } from "../plugins/Secrets.ts"
import { draftAttachment, draftEnrichment } from "./findings/drafts.ts"
import { jobErrorOf, loggedFailureOf } from "./failureOf.ts"
import type { ClaimedJob, Outcome } from "./Job.ts"
import { JobQueue } from "./JobQueue.ts"
import { PausedPlugins } from "./PausedPlugins.ts"

/** The plugin's breaker is open, and another hub may run the job. */
export interface Refused {
  readonly _tag: "Refused"
  readonly retryAfter: Duration.Duration
}

/** Give up after this many deliveries: the job crashes its process every time, or its database is broken. */
const maxDeliveries = 5

const undeliverable: JobError = {
  code: "DELIVERY_FAILED",
  message: `The job was started ${maxDeliveries} times and never ended: the hub stopped or failed each time.`
}

const isLinkifier = (spec: ConfiguredSpec): spec is PluginSpec<typeof linkifier> =>
  spec.kind.name === linkifier.name
const isExtractor = (spec: ConfiguredSpec): spec is PluginSpec<typeof extractor> =>
  spec.kind.name === extractor.name

/** `concurrency`: runs of all plugins at the same time. */
export const makeRunner = Effect.fnUntraced(function* (concurrency: number) {
  const hubs = yield* Hubs
  const secrets = yield* Secrets
  const recent = yield* RecentRuns
  const queue = yield* JobQueue
  const paused = yield* PausedPlugins
  const runtime = yield* PluginRuntime
  const breaker = yield* CircuitBreaker
  const slots = yield* Semaphore.make(concurrency)

  const run = (
    spec: ConfiguredSpec,
    job: ClaimedJob,
    recorder: RunRecorder
  ): Effect.Effect<Outcome, PluginError> => {
    const { id, content_raw, sender, topic_id, channel_id, created_at } = job.message
    const input = { message: { id, content_raw, sender, topic_id, channel_id, created_at } }
    if (isLinkifier(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => {
        recorder.succeeded(found.length)
        const version = recorder.version()
        return { _tag: "Enrichments", job, found: found.map((one) => draftEnrichment(one, version)) }
      })
    }
    if (isExtractor(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => {
        recorder.succeeded(found.length)
        const version = recorder.version()
        return { _tag: "Attachments", job, found: found.map((one) => draftAttachment(one, version)) }
      })
    }
    return Effect.die(new Error(`The hub does not know the kind of the plugin ${spec satisfies never}`))
  }

  /** Runs the job's plugin, and remembers the run. */
  const recorded = (spec: ConfiguredSpec, job: ClaimedJob): Effect.Effect<Outcome, PluginError> =>
    Effect.suspend(() => {
      const recorder = recent.record(spec.name, job.message_id)
      return run(spec, job, recorder).pipe(
        Effect.provideService(CurrentRunObserver, recorder.observer),
        Effect.tapError((error) => Effect.sync(() => recorder.failed(error, spec)))
      )
    })

  /** Waits until the time is over or the breaker closes. */
  const untilRetry = (plugin: string, retryAfter: Duration.Duration): Effect.Effect<void> =>
    Effect.raceFirst(
      Effect.sleep(retryAfter),
      breaker.changes.pipe(
        Stream.filter(({ name, to }) => name === plugin && to._tag === "Closed"),
        Stream.runHead,
        Effect.asVoid
      )
    )

  /**
   * Runs the job until the breaker lets it through. If hubs share the database, returns `Refused` instead of waiting,
   * because the breaker of another hub may be closed. `specOf` is read for every try: the spec may change meanwhile.
   */
  const outcomeOf = Effect.fnUntraced(function* (specOf: () => ConfiguredSpec, job: ClaimedJob) {
    if (job.attempts > maxDeliveries) {
      const { message } = undeliverable
      return { _tag: "Failed", job, error: undeliverable, logged: { error: message } } satisfies Outcome
    }
    const { deleted_at, content_version } = job.message
    if (deleted_at !== null || content_version !== job.content_version) {
      return { _tag: "Overtaken", job } satisfies Outcome
    }
    if (job.again) {
      // Ignore a load failure here: the run below fails with the same error.
      yield* Effect.ignore(runtime.load(specOf()))
      yield* queue.countDelivery(job)
    }
    while (true) {
      const spec = specOf()
      const result = yield* Effect.result(slots.withPermit(recorded(spec, job)))
      if (Result.isSuccess(result)) {
        paused.resume(spec.name)
        return result.success
      }
      const redactor = secrets.of(spec.name)
      const error = yield* jobErrorOf(result.failure, redactor)
      if (result.failure._tag !== "CIRCUIT_OPEN") {
        paused.resume(spec.name)
        const logged = loggedFailureOf(result.failure, redactor)
        return { _tag: "Failed", job, error, logged } satisfies Outcome
      }
      paused.pause(spec.name, error)
      const { retryAfter } = result.failure
      if (hubs.id !== undefined) return { _tag: "Refused", retryAfter } satisfies Refused
      yield* untilRetry(spec.name, retryAfter)
    }
  })

  return { outcomeOf, untilRetry }
})
