/**
 * The jobs of messages: written in the transaction of the message, delivered to its plugins at least once.
 *
 * Each plugin has a queue of its own, so that a slow or a broken one holds up nobody but itself. A job of a
 * plugin that is no longer in the config stays where it is until the plugin is back.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import type { SqlClient, SqlError } from "effect/sql"
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import { Derivations } from "./Derivations.ts"

export const Job = Schema.Struct({ message_id: Schema.String, content_version: Schema.Int })
export type Job = typeof Job.Type

type OfferError = PersistedQueue.PersistedQueueError | Schema.SchemaError | SqlError.SqlError

/** A delivery that never ends is given up by the handler, which can say so; not by the queue, which cannot. */
const maxAttempts = 1_000_000

/** How long another process's jobs stay with it after it died: a restart after a crash waits so long at most. */
const lockExpiration = "3 seconds"

export class Outbox extends Context.Service<
  Outbox,
  {
    /** Writes a job for every plugin; call it inside the transaction that writes the content. */
    readonly offer: (job: Job) => Effect.Effect<void, OfferError>
    /** Waits for a plugin's next job; it is done when `handle` succeeds and comes again when it fails. */
    readonly take: <A, E, R>(
      plugin: string,
      handle: (job: Job, delivery: { readonly attempts: number }) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | PersistedQueue.PersistedQueueError, R>
  }
>()("@agentlip/hub/Outbox") {
  static readonly layer = (
    specs: ReadonlyArray<ConfiguredSpec>
  ): Layer.Layer<Outbox, SqlError.SqlError, SqlClient.SqlClient | Derivations> =>
    Layer.effect(
      Outbox,
      Effect.gen(function* () {
        const derivations = yield* Derivations
        const queues = new Map<string, PersistedQueue.PersistedQueue<Job>>()
        for (const { name } of specs) {
          queues.set(name, yield* PersistedQueue.make({ name: `derive/${name}`, schema: Job, maxAttempts }))
        }
        const plugins = Array.from(queues.keys())

        const offer = Effect.fnUntraced(function* (job: Job) {
          const id = `${job.message_id}/${job.content_version}`
          yield* derivations.open(job.message_id, job.content_version, plugins)
          for (const queue of queues.values()) yield* queue.offer(job, { id })
        })

        return Outbox.of({
          offer,
          take: (plugin, handle) => {
            const queue = queues.get(plugin)
            return queue === undefined
              ? Effect.die(new Error(`There is no queue for the plugin ${plugin}`))
              : queue.take(handle)
          }
        })
      })
    ).pipe(
      Layer.provide(PersistedQueue.layer),
      Layer.merge(PersistedQueue.layerCleanup({ interval: "10 minutes", timeToLive: "1 hour" })),
      Layer.provide(
        PersistedQueue.layerStoreSql({
          tableName: "jobs",
          // Offers wake the taker at once; polling is for jobs that come again.
          pollInterval: "500 millis",
          lockRefreshInterval: "1 second",
          lockExpiration
        })
      )
    )
}
