/**
 * Runs plugins on messages and commits what they find.
 *
 * **Details**
 *
 * - A job is delivered at least once; its effect happens once: rows, events and the end of the job are one
 *   transaction, and a job that has ended is not run again.
 * - What a plugin had derived from the message before is replaced, also when it now fails: nothing of an
 *   earlier content is left behind once the jobs of the newest have ended.
 * - While a plugin's breaker is open its jobs wait, and nobody else's do.
 */
import {
  CircuitBreaker,
  type ConfiguredSpec,
  extractor,
  linkifier,
  type PluginError,
  PluginErrorJson,
  PluginRuntime,
  type PluginSpec,
  StaleOutput,
  Staleness
} from "@agentlip/plugin-runtime"
import { Cause, type Duration, Effect, Layer, Result, Schema, Semaphore, Stream } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Derivations, type JobKey, type JobMessage } from "./Derivations.ts"
import { Derived, type Place } from "./Derived.ts"
import type { DerivationError } from "./Model.ts"
import { type Job, Outbox } from "./Outbox.ts"

export interface DeriveOptions {
  /** Runs of all plugins side by side. Default 64. */
  readonly concurrency?: number
}

/** A job that was begun so often and never ended takes its process down, or its database is broken. */
const maxDeliveries = 5
const restAfterFailure = "1 second"

/** What a run found, ready to be written. */
interface Findings {
  readonly isEmpty: boolean
  readonly write: (place: Place) => Effect.Effect<void, SqlError.SqlError>
}

const isLinkifier = (spec: ConfiguredSpec): spec is PluginSpec<typeof linkifier> =>
  spec.kind.name === linkifier.name
const isExtractor = (spec: ConfiguredSpec): spec is PluginSpec<typeof extractor> =>
  spec.kind.name === extractor.name

const encodeError = Schema.encodeEffect(PluginErrorJson)

const describe = (error: PluginError): Effect.Effect<DerivationError> =>
  Effect.map(Effect.orDie(encodeError(error)), (json) => ({
    code: error._tag,
    message: error.message,
    error: json
  }))

const isCurrent = (message: JobMessage, job: JobKey): boolean =>
  message.deleted_at === null && message.content_version === job.content_version

/** One run takes an isolate, the next is prepared or committed meanwhile. */
const takers = (spec: ConfiguredSpec): number => spec.concurrency + 1

const make = Effect.fnUntraced(function* (
  specs: ReadonlyArray<ConfiguredSpec>,
  { concurrency = 64 }: DeriveOptions
) {
  const sql = yield* SqlClient.SqlClient
  const outbox = yield* Outbox
  const derivations = yield* Derivations
  const derived = yield* Derived
  const staleness = yield* Staleness
  const runtime = yield* PluginRuntime
  const breaker = yield* CircuitBreaker
  const slots = yield* Semaphore.make(concurrency)

  const run = (
    spec: ConfiguredSpec,
    { id, content_raw, sender, topic_id, channel_id, created_at }: JobMessage
  ): Effect.Effect<Findings, PluginError> => {
    const input = { message: { id, content_raw, sender, topic_id, channel_id, created_at } }
    if (isLinkifier(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => ({
        isEmpty: found.length === 0,
        write: (place) => derived.enrich(place, spec.name, found)
      }))
    }
    if (isExtractor(spec)) {
      return Effect.map(runtime.run(spec, input), (found) => ({
        isEmpty: found.length === 0,
        write: (place) => derived.attach(place, spec.name, found)
      }))
    }
    return Effect.die(new Error(`The hub does not know the kind of the plugin ${spec satisfies never}`))
  }

  const commit = (job: JobKey, { content_raw }: JobMessage, findings: Findings) =>
    staleness.commit(
      { messageId: job.message_id, content_raw },
      Effect.gen(function* () {
        const message = yield* derivations.messageOf(job)
        if (message === undefined) return
        // Edited and edited back: the newest content's own job commits.
        if (!isCurrent(message, job)) {
          return yield* new StaleOutput({ messageId: job.message_id, reason: "CONTENT_CHANGED" })
        }
        const { topic_id, channel_id } = message
        yield* findings.write({ message_id: job.message_id, topic_id, channel_id })
        yield* derivations.end(job, findings.isEmpty ? "empty" : "committed")
      })
    )

  const fail = Effect.fnUntraced(function* (job: JobKey, error: DerivationError) {
    const message = yield* derivations.messageOf(job)
    if (message === undefined) return
    yield* derivations.end(job, "failed", error)
    if (isCurrent(message, job)) {
      yield* derived.removeEnrichments(job.message_id, job.plugin_name)
      yield* derived.removeAttachments(job.message_id, job.plugin_name)
    }
    yield* sql.afterCommit(
      Effect.annotateLogs(Effect.logWarning("plugin failed"), {
        plugin: job.plugin_name,
        code: error.code,
        message_id: job.message_id
      })
    )
  }, sql.withTransaction)

  const untilRetry = (plugin: string, retryAfter: Duration.Duration) =>
    Effect.raceFirst(
      Effect.sleep(retryAfter),
      breaker.changes.pipe(
        Stream.filter(({ name, to }) => name === plugin && to._tag === "Closed"),
        Stream.runHead
      )
    )

  /** One attempt; answers how long to wait if the breaker would not have it. */
  const attempt = Effect.fnUntraced(function* (spec: ConfiguredSpec, job: JobKey, message: JobMessage) {
    const result = yield* Effect.result(run(spec, message))
    if (Result.isSuccess(result)) {
      yield* derivations.resume(spec.name)
      yield* commit(job, message, result.success).pipe(
        Effect.catchTag("StaleOutput", () => derivations.end(job, "stale"))
      )
      return undefined
    }
    const error = yield* describe(result.failure)
    if (result.failure._tag === "CIRCUIT_OPEN") {
      yield* derivations.wait(spec.name, error)
      return result.failure.retryAfter
    }
    yield* derivations.resume(spec.name)
    yield* fail(job, error)
    return undefined
  })

  const handle = (spec: ConfiguredSpec) =>
    Effect.fnUntraced(function* (given: Job, { attempts }: { readonly attempts: number }) {
      const job: JobKey = { ...given, plugin_name: spec.name }
      if (attempts > maxDeliveries) {
        return yield* fail(job, {
          code: "DELIVERY_FAILED",
          message: `The job was begun ${maxDeliveries} times and never came to an end: the hub stopped or failed each time.`
        })
      }
      while (true) {
        const message = yield* derivations.messageOf(job)
        if (message === undefined) return
        if (!isCurrent(message, job)) return yield* Effect.asVoid(derivations.end(job, "stale"))
        const retryAfter = yield* slots.withPermit(attempt(spec, job, message))
        if (retryAfter === undefined) return
        yield* untilRetry(spec.name, retryAfter)
      }
    })

  const work = (spec: ConfiguredSpec) =>
    outbox.take(spec.name, handle(spec)).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : Effect.logError("a job failed and will be delivered again", cause).pipe(
              Effect.annotateLogs({ plugin: spec.name }),
              Effect.andThen(Effect.sleep(restAfterFailure))
            )
      ),
      Effect.forever
    )

  for (const spec of specs) {
    for (let taker = 0; taker < takers(spec); taker++) yield* Effect.forkScoped(work(spec))
  }
})

/** Works through the outbox as long as its scope is open; a stop gives unfinished jobs back. */
export const layer = (specs: ReadonlyArray<ConfiguredSpec>, options: DeriveOptions = {}) =>
  Layer.effectDiscard(make(specs, options))
