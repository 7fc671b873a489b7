/** Attachments that extractors found. messages/Attachments.ts has those that clients post. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { NewEvent } from "../../core/Event.ts"
import { EventLog } from "../../core/EventLog.ts"
import { Ids } from "../../core/Ids.ts"
import { JsonText, spliceJson } from "../../core/JsonText.ts"
import * as Dialect from "../../database/Dialect.ts"
import * as EachRow from "../../database/EachRow.ts"
import type { AttachmentDraft, Place, RunFindings } from "./drafts.ts"

/** The identity of an attachment: two attachments with the same fact are the same one. */
interface Fact {
  readonly topic_id: string
  readonly kind: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly value_json: string
}

/** A fact and the version of the plugin that has found it. */
interface FoundFact extends Fact {
  readonly plugin_version: string | null
}

interface NewRow extends FoundFact {
  readonly id: string
  readonly message_id: string
  readonly plugin_name: string
}

const factKey = ({ topic_id, kind, key, dedupe_key, value_json }: Fact): string =>
  JSON.stringify([topic_id, kind, key ?? "", dedupe_key, value_json])

const runKey = (message_id: string, plugin_name: string): string => JSON.stringify([message_id, plugin_name])

/** The distinct facts of a run. */
const factsOf = ({ place: { topic_id }, found }: RunFindings<AttachmentDraft>): Map<string, FoundFact> =>
  new Map(
    found.map((draft): [string, FoundFact] => {
      const fact = { ...draft, topic_id }
      return [factKey(fact), fact]
    })
  )

/** The event of a new attachment, with its value as it is stored. */
const eventOf = (row: NewRow, { channel_id }: Place, created_at: string): NewEvent => {
  const { id, topic_id, kind, key, dedupe_key, value_json, message_id: source_message_id } = row
  const attachment = { id, topic_id, kind, key, dedupe_key, source_message_id, created_at }
  const { plugin_name, plugin_version } = row
  const value = spliceJson(attachment, "value_json", value_json)
  return {
    name: "topic.attachment_added",
    scope: { channel_id, topic_id },
    entity: { type: "attachment", id },
    data: new JsonText(spliceJson({ plugin_name, plugin_version }, "attachment", value))
  }
}

/** The statements of the tables `attachments` and `attachment_sources`. */
export const makeAttachments = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const events = yield* EventLog
  const ids = yield* Ids
  const run = { message_id: "text", plugin_name: "text" } as const
  const givenRuns = Dialect.given(sql, run)
  const keyColumns = { topic_id: "text", kind: "text", key: "text", dedupe_key: "text" } as const
  const sourceColumns = { ...run, plugin_version: "text", ...keyColumns } as const
  const rowColumns = { id: "text", ...sourceColumns, value_json: "text", created_at: "text" } as const
  const givenRows = Dialect.given(sql, rowColumns)
  const same = Dialect.sameAttachment(sql)

  /** Adds those that do not exist yet, and returns their ids. */
  const addAll = EachRow.run(
    sql,
    { id: "text", ...keyColumns, value_json: "text", message_id: "text", created_at: "text" },
    {
      sqlite: {
        statement: `
          INSERT INTO attachments
            (id, topic_id, kind, key, dedupe_key, value_json, source_message_id, posted, created_at)
          VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING`,
        result: (ran, rows) =>
          new Set(rows.filter((_, index) => ran[index]?.changes === 1).map(({ id }) => id))
      },
      other: (rows: ReadonlyArray<NewRow & { readonly created_at: string }>) =>
        Effect.map(
          sql<{ readonly id: string }>`
            INSERT INTO attachments
              (id, topic_id, kind, key, dedupe_key, value_json, source_message_id, posted, created_at)
            SELECT id, topic_id, kind, key, dedupe_key, value_json, message_id, 0, created_at
            FROM ${givenRows(rows)} WHERE true
            ON CONFLICT DO NOTHING RETURNING id`,
          (added) => new Set(added.map(({ id }) => id))
        )
    }
  )

  /** Makes messages sources of the attachments that they hold. */
  const addSources = EachRow.run(sql, sourceColumns, {
    sqlite: {
      statement: `
          INSERT INTO attachment_sources (attachment_id, message_id, plugin_name, plugin_version)
          SELECT a.id, given.message_id, given.plugin_name, given.plugin_version
          FROM (SELECT ? AS message_id, ? AS plugin_name, ? AS plugin_version, ? AS topic_id, ? AS kind, ? AS key,
              ? AS dedupe_key) AS given
            JOIN attachments a ON ${same}
          WHERE true ON CONFLICT DO NOTHING`,
      result: () => undefined
    },
    other: (rows: ReadonlyArray<NewRow>) =>
      Effect.asVoid(sql`
          INSERT INTO attachment_sources (attachment_id, message_id, plugin_name, plugin_version)
          SELECT a.id, given.message_id, given.plugin_name, given.plugin_version
          FROM ${givenRows(rows)} JOIN attachments a ON ${sql.literal(same)}
          WHERE true ON CONFLICT DO NOTHING`)
  })

  const from = (messageId: string, plugin: string | undefined) =>
    plugin === undefined
      ? sql`message_id = ${messageId}`
      : sql`message_id = ${messageId} AND plugin_name = ${plugin}`

  /** Removes attachments that have no source any more. Call it after their sources were removed. */
  const withdraw = Effect.fnUntraced(function* (messageId: string, attachmentIds: ReadonlyArray<string>) {
    if (attachmentIds.length === 0) return
    const among = sql.in("id", attachmentIds)
    yield* sql`
      DELETE FROM attachments WHERE ${among} AND posted = 0
      AND NOT EXISTS (SELECT 1 FROM attachment_sources WHERE attachment_id = attachments.id)`
    // Another message is still a source: make it the attachment's source message.
    yield* sql`
      UPDATE attachments SET source_message_id =
        (SELECT min(message_id) FROM attachment_sources WHERE attachment_id = attachments.id)
      WHERE ${among} AND posted = 0 AND source_message_id = ${messageId} AND NOT EXISTS
        (SELECT 1 FROM attachment_sources WHERE attachment_id = attachments.id AND message_id = ${messageId})`
  })

  const remove = Effect.fnUntraced(function* (messageId: string, plugin?: string) {
    const removed = yield* sql<{ attachment_id: string }>`
      DELETE FROM attachment_sources WHERE ${from(messageId, plugin)} RETURNING attachment_id`
    yield* withdraw(
      messageId,
      removed.map(({ attachment_id }) => attachment_id)
    )
  })

  /** Removes attachments that were not found again, and leaves only the new ones in `wanted`. */
  const compare = Effect.fnUntraced(function* (
    findings: ReadonlyArray<RunFindings<AttachmentDraft>>,
    wanted: ReadonlyMap<string, Map<string, FoundFact>>
  ) {
    const runs = findings.map(({ place, plugin }) => ({
      message_id: place.message_id,
      plugin_name: plugin
    }))
    const before = yield* sql<NewRow>`
      SELECT s.message_id, s.plugin_name, s.plugin_version, a.id, a.topic_id, a.kind, a.key, a.dedupe_key, a.value_json
      FROM attachment_sources s JOIN attachments a ON a.id = s.attachment_id
      WHERE (s.message_id, s.plugin_name) IN (SELECT message_id, plugin_name FROM ${givenRuns(runs)})`
    for (const row of before) {
      const { id, message_id, plugin_name } = row
      const facts = wanted.get(runKey(message_id, plugin_name))
      const again = facts?.get(factKey(row))
      const source = sql`${from(message_id, plugin_name)} AND attachment_id = ${id}`
      if (again !== undefined) {
        // Keep the row, write no event.
        facts?.delete(factKey(row))
        const { plugin_version } = again
        if (plugin_version !== row.plugin_version) {
          yield* sql`UPDATE attachment_sources SET plugin_version = ${plugin_version} WHERE ${source}`
        }
        continue
      }
      yield* sql`DELETE FROM attachment_sources WHERE ${source}`
      yield* withdraw(message_id, [id])
    }
  })

  const replace = Effect.fnUntraced(function* (
    findings: ReadonlyArray<RunFindings<AttachmentDraft>>,
    at: string
  ) {
    if (findings.length === 0) return
    const wanted = new Map(findings.map((one) => [runKey(one.place.message_id, one.plugin), factsOf(one)]))
    yield* compare(findings, wanted)
    const count = [...wanted.values()].reduce((sum, { size }) => sum + size, 0)
    if (count === 0) return
    const nextId = yield* ids.reserve(count)
    const drafts = findings.flatMap(({ place, plugin }) => {
      const { message_id } = place
      const facts = [...(wanted.get(runKey(message_id, plugin))?.values() ?? [])]
      return facts.map((fact) => ({
        row: { ...fact, id: nextId(), message_id, plugin_name: plugin },
        place
      }))
    })
    const rows = drafts.map(({ row }) => row)
    const addedIds = yield* addAll(rows.map((row) => ({ ...row, created_at: at })))
    yield* addSources(rows)
    yield* events.appendAll(
      drafts.filter(({ row }) => addedIds.has(row.id)).map(({ row, place }) => eventOf(row, place, at)),
      at
    )
  })

  return { remove, replace }
})
