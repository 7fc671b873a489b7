/**
 * Commits the outcomes of many jobs at once: rows, events and the ends of the jobs are one transaction.
 *
 * **Details**
 *
 * - `Staleness` checks each job's message inside the transaction, which holds the write lock from its start, so no edit
 *   can come between the check and the commit. If the message has other content or is deleted, the job ends as stale
 *   and writes nothing.
 * - The version of the content is compared too: after an edit and an edit back, only the newest job commits.
 * - A job that has already ended, or that another hub has taken over, is not ended here, and its findings are not
 *   written.
 */
import { Staleness, type StaleOutput } from "@agentlip/plugin-runtime"
import { Context, Effect, Layer, Result } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { NewEvent } from "../core/Event.ts"
import { EventLog } from "../core/EventLog.ts"
import { jobEnded } from "../core/HubMetrics.ts"
import * as Dialect from "../database/Dialect.ts"
import type { Hubs } from "../database/Hubs.ts"
import { timestamp } from "../timestamp.ts"
import { Findings } from "./Findings.ts"
import type { AttachmentDraft, EnrichmentDraft, RunFindings } from "./findings/drafts.ts"
import { jobKeyOf, type Outcome } from "./Job.ts"
import type { JobEnd } from "./JobStates.ts"
import { JobTable } from "./table/JobTable.ts"

/** Where a message is now, and the version of its content. */
interface Current {
  readonly id: string
  readonly content_version: number
  readonly topic_id: string
  readonly channel_id: string
}

/** An outcome with the end of its job. */
export interface Ended {
  readonly outcome: Outcome
  readonly end: JobEnd
}

interface Judged extends Ended {
  readonly stale: StaleOutput["reason"] | undefined
  /** `undefined`: the message is gone. */
  readonly current: Current | undefined
}

const endOf = (outcome: Outcome, stale: Judged["stale"]): JobEnd => {
  // A deleted message makes every outcome stale, even a failure: its error may quote the deleted text.
  if (stale === "DELETED") return "stale"
  switch (outcome._tag) {
    case "Failed":
      return "failed"
    case "Overtaken":
      return "stale"
    default:
      if (stale !== undefined) return "stale"
      return outcome.found.length === 0 ? "empty" : "committed"
  }
}

/**
 * The event that tells operators of a failed or stale job. There is none if the message is gone: the event would have
 * no channel.
 */
const eventsOf = ({ outcome, end, stale, current }: Judged): ReadonlyArray<NewEvent> => {
  if (current === undefined) return []
  const { message_id, plugin_name, content_version } = outcome.job
  const about = { message_id, plugin_name, content_version }
  const place = {
    scope: { channel_id: current.channel_id, topic_id: current.topic_id },
    entity: { type: "message", id: message_id }
  } as const
  if (end === "failed" && outcome._tag === "Failed") {
    const { code, message } = outcome.error
    return [{ ...place, name: "plugin.failed", data: { ...about, code, message } }]
  }
  if (end !== "stale") return []
  const reason = stale === "DELETED" ? stale : "CONTENT_CHANGED"
  return [{ ...place, name: "plugin.stale", data: { ...about, reason } }]
}

const logFailure = ({ job, error, logged }: Outcome & { readonly _tag: "Failed" }) =>
  Effect.annotateLogs(Effect.logWarning("plugin failed"), {
    plugin: job.plugin_name,
    code: error.code,
    ...logged,
    message_id: job.message_id
  })

const foundBy = ({ outcome, end }: Ended): number =>
  end === "committed" && "found" in outcome ? outcome.found.length : 0

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
        const staleness = yield* Staleness
        const findings = yield* Findings
        const events = yield* EventLog
        const jobs = yield* JobTable
        const givenIds = Dialect.given(sql, { id: "text" })

        const currentOf = Effect.fnUntraced(function* (outcomes: ReadonlyArray<Outcome>) {
          const ids = [...new Set(outcomes.map(({ job }) => job.message_id))]
          const rows = yield* sql<Current>`
            SELECT id, content_version, topic_id, channel_id
            FROM messages WHERE id IN (SELECT id FROM ${givenIds(ids.map((id) => ({ id })))})`
          return new Map(rows.map((row) => [row.id, row]))
        })

        /** Ends the jobs that are still open, and returns them. */
        const end = Effect.fnUntraced(function* (judged: ReadonlyArray<Judged>, at: string) {
          const rows = judged.map(({ outcome, end: state }) => ({
            ...outcome.job,
            state,
            error_json: state === "failed" && outcome._tag === "Failed" ? JSON.stringify(outcome.error) : null
          }))
          const ended = new Set((yield* jobs.end(rows, at)).map(jobKeyOf))
          return judged.filter(({ outcome }) => ended.has(jobKeyOf(outcome.job)))
        })

        /** Replaces the findings of the plugins in current messages. */
        const replaceFindings = Effect.fnUntraced(function* (ended: ReadonlyArray<Judged>, at: string) {
          const enrichments: Array<RunFindings<EnrichmentDraft>> = []
          const attachments: Array<RunFindings<AttachmentDraft>> = []
          for (const { outcome, stale, current } of ended) {
            if (stale !== undefined || current === undefined) continue
            const { message_id, plugin_name: plugin } = outcome.job
            const place = { message_id, topic_id: current.topic_id, channel_id: current.channel_id }
            switch (outcome._tag) {
              case "Enrichments":
                enrichments.push({ place, plugin, found: outcome.found })
                break
              case "Attachments":
                attachments.push({ place, plugin, found: outcome.found })
                break
              case "Failed":
                yield* findings.removeEnrichments(message_id, plugin)
                yield* findings.removeAttachments(message_id, plugin)
            }
          }
          yield* findings.enrich(enrichments, at)
          yield* findings.attach(attachments, at)
        })

        const report = (ended: ReadonlyArray<Ended>) =>
          Effect.forEach(
            ended,
            (one) => {
              const counted = jobEnded(one.outcome.job.plugin_name, one.end, foundBy(one))
              return one.end === "failed" && one.outcome._tag === "Failed"
                ? Effect.andThen(counted, logFailure(one.outcome))
                : counted
            },
            { discard: true }
          )

        const commit = (outcomes: ReadonlyArray<Outcome>) => {
          const snapshots = outcomes.map(({ job }) => ({
            messageId: job.message_id,
            content_raw: job.message.content_raw
          }))
          return staleness
            .commitAll(
              snapshots,
              Effect.fnUntraced(function* (checked) {
                const at = yield* timestamp
                const messages = yield* currentOf(outcomes)
                const judged = outcomes.map((outcome, index): Judged => {
                  const check = checked[index]
                  const current = messages.get(outcome.job.message_id)
                  const stale =
                    check !== undefined && Result.isFailure(check)
                      ? check.failure.reason
                      : current?.content_version === outcome.job.content_version
                        ? undefined
                        : "CONTENT_CHANGED"
                  return { outcome, end: endOf(outcome, stale), stale, current }
                })
                const ended = yield* end(judged, at)
                yield* events.appendAll(ended.flatMap(eventsOf), at)
                yield* replaceFindings(ended, at)
                yield* sql.afterCommit(report(ended))
                return ended
              })
            )
            .pipe(
              // The column holds nothing but text.
              Effect.catchTag("ContentNotText", Effect.die)
            )
        }

        return Committer.of({ commit })
      })
    ).pipe(Layer.provide(Staleness.layer), Layer.provide(JobTable.layer))
}
