/**
 * Commits the outcomes of many jobs at once: rows, events and the ends of the jobs are one transaction.
 *
 * **Details**
 *
 * - Each job is checked against its message inside the transaction, which holds the write lock from its start, so no
 *   edit can come between the check and the commit. If the message has other content or is deleted, the job ends as
 *   stale and writes nothing.
 * - A job that has already ended, or that another hub has taken over, is not ended here, and its findings are not
 *   written.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { End } from "./JobStates.ts"
import { type AttachmentDraft, Findings, type EnrichmentDraft, type RunFindings } from "./Findings.ts"
import * as Dialect from "../database/Dialect.ts"
import { EventLog, type NewEvent } from "../core/EventLog.ts"
import { Hubs } from "../database/Hubs.ts"
import { timestamp } from "../timestamp.ts"
import type { JobError } from "@agentlip/protocol"
import type { ClaimedJob, JobKey, JobMessage } from "./JobQueue.ts"

/** The outcome of a job. */
export type Outcome =
  | { readonly _tag: "Enrichments"; readonly job: ClaimedJob; readonly found: ReadonlyArray<EnrichmentDraft> }
  | { readonly _tag: "Attachments"; readonly job: ClaimedJob; readonly found: ReadonlyArray<AttachmentDraft> }
  | { readonly _tag: "Failed"; readonly job: ClaimedJob; readonly error: JobError }
  /** The message changed before the plugin ran. */
  | { readonly _tag: "Overtaken"; readonly job: ClaimedJob }

type Current = Pick<
  JobMessage,
  "id" | "content_raw" | "content_version" | "deleted_at" | "topic_id" | "channel_id"
>

/** Compares the version too: after an edit and an edit back, only the job of the newest content commits. */
const isCurrent = (
  message: Current | undefined,
  { content_version, message: asked }: ClaimedJob
): message is Current =>
  message !== undefined &&
  message.deleted_at === null &&
  message.content_version === content_version &&
  message.content_raw === asked.content_raw

const endOf = (outcome: Outcome, message: Current | undefined): End => {
  // A deleted message makes every outcome stale, even a failure: its error may quote the deleted text.
  if (message !== undefined && message.deleted_at !== null) return "stale"
  switch (outcome._tag) {
    case "Failed":
      return "failed"
    case "Overtaken":
      return "stale"
    default:
      if (!isCurrent(message, outcome.job)) return "stale"
      return outcome.found.length === 0 ? "empty" : "committed"
  }
}

const keyOf = ({ message_id, content_version, plugin_name }: JobKey): string =>
  `${message_id}/${content_version}/${plugin_name}`

export interface Ended {
  readonly outcome: Outcome
  readonly end: End
}

export class Committer extends Context.Service<
  Committer,
  {
    /** Commits all outcomes or none. Returns the jobs that this commit ended. */
    readonly commit: (
      outcomes: ReadonlyArray<Outcome>
    ) => Effect.Effect<ReadonlyArray<Ended>, SqlError.SqlError>
  }
>()("@agentlip/hub/Committer") {
  static readonly layer: Layer.Layer<Committer, never, SqlClient.SqlClient | Findings | EventLog | Hubs> =
    Layer.effect(
      Committer,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const findings = yield* Findings
        const hubs = yield* Hubs
        const events = yield* EventLog
        const givenIds = Dialect.given(sql, { id: "text" })
        const givenEnds = Dialect.given(sql, {
          message_id: "text",
          content_version: "integer",
          plugin_name: "text",
          state: "text",
          error_json: "text"
        })

        const read = Effect.fnUntraced(function* (outcomes: ReadonlyArray<Outcome>) {
          const ids = [...new Set(outcomes.map(({ job }) => job.message_id))]
          const rows = yield* sql<Current>`
          SELECT id, content_raw, content_version, deleted_at, topic_id, channel_id
          FROM messages WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))})`
          return new Map(rows.map((row) => [row.id, row]))
        })

        /** Ends the jobs that are still open, and returns them. */
        const end = Effect.fnUntraced(function* (ends: ReadonlyArray<Ended>) {
          const ended_at = yield* timestamp
          const rows = ends.map(({ outcome, end }) => {
            const { message_id, content_version, plugin_name } = outcome.job
            const error = end === "failed" && outcome._tag === "Failed" ? JSON.stringify(outcome.error) : null
            return { message_id, content_version, plugin_name, state: end, error_json: error }
          })
          const ended = yield* sql<JobKey>`
          UPDATE derivations SET state = given.state, error_json = given.error_json, ended_at = ${ended_at}${hubs.giveUp}
          FROM ${givenEnds(rows)}
          WHERE derivations.message_id = given.message_id
            AND derivations.content_version = given.content_version
            AND derivations.plugin_name = given.plugin_name AND derivations.state = 'pending'${hubs.mine}
          RETURNING derivations.message_id, derivations.content_version, derivations.plugin_name`
          const open = new Set(ended.map(keyOf))
          return ends.filter(({ outcome }) => open.has(keyOf(outcome.job)))
        })

        const report = ({ job, error }: Outcome & { readonly _tag: "Failed" }) =>
          sql.afterCommit(
            Effect.annotateLogs(Effect.logWarning("plugin failed"), {
              plugin: job.plugin_name,
              code: error.code,
              message_id: job.message_id
            })
          )

        /**
         * The event that tells operators of a failed or stale job. There is none if the message is gone: the event
         * would have no channel.
         */
        const toldOf = ({ outcome, end }: Ended, message: Current | undefined): ReadonlyArray<NewEvent> => {
          if ((end !== "failed" && end !== "stale") || message === undefined) return []
          const { message_id, plugin_name, content_version } = outcome.job
          const about = { message_id, plugin_name, content_version }
          const place = {
            scope: { channel_id: message.channel_id, topic_id: message.topic_id },
            entity: { type: "message", id: message_id }
          } as const
          if (end === "failed" && outcome._tag === "Failed") {
            const { code, message: text } = outcome.error
            return [{ ...place, name: "plugin.failed", data: { ...about, code, message: text } }]
          }
          const reason = message.deleted_at === null ? "CONTENT_CHANGED" : "DELETED"
          return [{ ...place, name: "plugin.stale", data: { ...about, reason } }]
        }

        const commit = Effect.fnUntraced(function* (outcomes: ReadonlyArray<Outcome>) {
          const messages = yield* read(outcomes)
          const ended = yield* end(
            outcomes.map((outcome) => ({
              outcome,
              end: endOf(outcome, messages.get(outcome.job.message_id))
            }))
          )
          const enrichments: Array<RunFindings<EnrichmentDraft>> = []
          const attachments: Array<RunFindings<AttachmentDraft>> = []
          for (const { outcome, end } of ended) {
            const { job } = outcome
            if (end === "failed" && outcome._tag === "Failed") yield* report(outcome)
            const message = messages.get(job.message_id)
            if (!isCurrent(message, job)) continue
            const { topic_id, channel_id } = message
            const place = { message_id: job.message_id, topic_id, channel_id }
            switch (outcome._tag) {
              case "Enrichments":
                enrichments.push({ place, plugin: job.plugin_name, found: outcome.found })
                break
              case "Attachments":
                attachments.push({ place, plugin: job.plugin_name, found: outcome.found })
                break
              case "Failed":
                yield* findings.removeEnrichments(job.message_id, job.plugin_name)
                yield* findings.removeAttachments(job.message_id, job.plugin_name)
            }
          }
          yield* events.appendAll(
            ended.flatMap((one) => toldOf(one, messages.get(one.outcome.job.message_id)))
          )
          yield* findings.enrich(enrichments)
          yield* findings.attach(attachments)
          return ended
        }, sql.withTransaction)

        return Committer.of({ commit })
      })
    )
}
