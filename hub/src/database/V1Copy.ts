/**
 * Copies the tables of Agentlip v1, attached as `v1`, into the new tables of this hub.
 *
 * **Details**
 *
 * - All ids, event numbers and times stay. So does `db_id`: clients see the same database.
 * - v1 did not store which plugin made an enrichment. They belong to `v1Plugin`, and go when a linkifier runs again on
 *   their message.
 * - v1 did not store which attachments plugins made. All count as posted by clients, so none is removed.
 * - v1 could hold rows whose topic, channel or message is missing. A missing topic or channel is created again, under
 *   its id and with a name that says so. An enrichment without a message is left out: plugins find it again.
 * - JSON that is invalid or not an object becomes the text in an object: `{"invalid":"…"}`.
 * - If v1 had its optional full-text index, programs may use it. It is built again and follows the messages from now on.
 *   The hub's own search does not use it.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { createV1Index, v1Index } from "./V1Index.ts"

/** The name under which enrichments of v1 are kept. */
export const v1Plugin = "agentlip-v1"

/**
 * Starts the ids that a migrated database gets from now on. v1's ids start with a lower-case word such as `msg_`, and
 * lists are sorted by id: new ids must come after all of them.
 */
const idPrefix = "zz"

/** Rows copied by one statement: other work of the process goes on in between. */
const rowsAtOnce = 10_000

const object = (column: string): string => `
  CASE WHEN json_valid(${column}) AND json_type(${column}) = 'object' THEN ${column}
    ELSE json_object('invalid', ${column}) END`

/** A table of v1, and how its rows become rows of this hub. */
interface Table {
  readonly name: string
  readonly to: string
  /** Columns of this hub's table, each with v1's value. */
  readonly columns: Readonly<Record<string, string>>
  readonly where?: string
}

const same = (...names: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, name]))

const isMessage = (column: string): string => `EXISTS (SELECT 1 FROM v1.messages m WHERE m.id = ${column})`

const tables: ReadonlyArray<Table> = [
  { name: "channels", to: "channels", columns: same("id", "name", "description", "created_at") },
  { name: "topics", to: "topics", columns: same("id", "channel_id", "title", "created_at", "updated_at") },
  {
    name: "messages",
    to: "messages",
    columns: {
      ...same("id", "topic_id", "sender", "content_raw", "version"),
      // v1 kept it beside the topic; a topic belongs to one channel.
      channel_id: "(SELECT t.channel_id FROM main.topics t WHERE t.id = messages.topic_id)",
      content_version: "version",
      ...same("created_at", "edited_at", "deleted_at", "deleted_by")
    }
  },
  {
    name: "topic_attachments",
    to: "attachments",
    columns: {
      ...same("id", "topic_id", "kind", "key", "dedupe_key", "created_at"),
      value_json: object("value_json"),
      source_message_id: `CASE WHEN ${isMessage("source_message_id")} THEN source_message_id END`,
      posted: "1"
    }
  },
  {
    name: "enrichments",
    to: "enrichments",
    columns: {
      ...same("id", "message_id", "kind", "span_start", "span_end", "created_at"),
      plugin_name: `'${v1Plugin}'`,
      data_json: object("data_json")
    },
    where: isMessage("message_id")
  },
  {
    name: "events",
    to: "events",
    columns: {
      ...same("event_id", "ts", "name", "entity_type", "entity_id"),
      channel_id: "scope_channel_id",
      topic_id: "scope_topic_id",
      topic_id2: "scope_topic_id2",
      data_json: object("data_json")
    }
  }
]

/** Channels and topics that rows of v1 name and v1 does not have. */
const missing = [
  `INSERT INTO main.channels (id, name, description, created_at)
    SELECT id, 'recovered-' || id, 'It was missing in the database of Agentlip v1.', min(at) FROM (
      SELECT channel_id AS id, created_at AS at FROM v1.topics
      UNION ALL
      SELECT m.channel_id, m.created_at FROM v1.messages m
        WHERE NOT EXISTS (SELECT 1 FROM v1.topics t WHERE t.id = m.topic_id)
      UNION ALL
      SELECT 'recovered', a.created_at FROM v1.topic_attachments a
        WHERE NOT EXISTS (SELECT 1 FROM v1.topics t WHERE t.id = a.topic_id)
          AND NOT EXISTS (SELECT 1 FROM v1.messages m WHERE m.topic_id = a.topic_id)
    ) WHERE id NOT IN (SELECT id FROM main.channels) GROUP BY id`,
  `INSERT INTO main.topics (id, channel_id, title, created_at, updated_at)
    SELECT id, min(channel), 'recovered ' || id, min(at), max(at) FROM (
      SELECT topic_id AS id, channel_id AS channel, created_at AS at FROM v1.messages
      UNION ALL
      SELECT a.topic_id, 'recovered', a.created_at FROM v1.topic_attachments a
        WHERE NOT EXISTS (SELECT 1 FROM v1.messages m WHERE m.topic_id = a.topic_id)
    ) WHERE id NOT IN (SELECT id FROM main.topics) GROUP BY id`
]

const selectOf = ({ name, columns, where = "TRUE" }: Table): string =>
  `SELECT ${Object.entries(columns)
    .map(([column, value]) => `${value} AS ${column}`)
    .join(", ")} FROM v1.${name} WHERE ${where}`

const keyOf = ({ columns }: Table): string => ("event_id" in columns ? "event_id" : "id")

/** The copy differs from its source: a defect of SQLite, of the disk or of this file. */
export class CopyDiffers extends Error {
  override readonly name = "CopyDiffers"
}

/** How many rows each of v1's tables had, and how many were created or left out. */
export interface Copied {
  readonly channels: number
  readonly topics: number
  readonly messages: number
  readonly attachments: number
  readonly enrichments: number
  readonly events: number
  /** Channels and topics that were missing in v1 and exist now. */
  readonly recovered: number
  /** Enrichments whose message does not exist. */
  readonly leftOut: number
}

/**
 * Copies everything in the current transaction, and compares the copy with its source before it returns. `progress` is
 * called after each part of a table.
 */
export const copyV1 = (
  progress: (table: string, rows: number, total: number) => Effect.Effect<void>
): Effect.Effect<Copied, unknown, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const count = (query: string) =>
      Effect.map(sql.unsafe<{ n: number }>(`SELECT (${query}) AS n`), ([row]) => Number(row?.n ?? 0))

    const copy = Effect.fnUntraced(function* (table: Table) {
      const columns = Object.keys(table.columns).join(", ")
      const last = yield* count(`SELECT max(rowid) FROM v1.${table.name}`)
      const total = yield* count(`SELECT count(*) FROM v1.${table.name}`)
      let done = 0
      for (let from = yield* count(`SELECT min(rowid) - 1 FROM v1.${table.name}`); from < last; ) {
        // Row ids may have gaps of any size.
        const to = yield* count(
          `SELECT max(r) FROM (SELECT rowid AS r FROM v1.${table.name} WHERE rowid > ${from}
            ORDER BY rowid LIMIT ${rowsAtOnce})`
        )
        yield* sql.unsafe(
          `INSERT INTO main.${table.to} (${columns}) ${selectOf(table)}
            AND ${table.name}.rowid > ${from} AND ${table.name}.rowid <= ${to}`
        )
        done += rowsAtOnce
        from = to
        if (from < last) yield* progress(table.to, done, total)
        yield* Effect.yieldNow
      }
    })

    /** Compares every value of every row. */
    const compare = Effect.fnUntraced(function* (table: Table) {
      const columns = Object.keys(table.columns).join(", ")
      const source = selectOf(table)
      const target = `SELECT ${columns} FROM main.${table.to}
        WHERE ${keyOf(table)} IN (SELECT ${keyOf(table)} FROM v1.${table.name})`
      const rows = yield* count(`SELECT count(*) FROM v1.${table.name} WHERE ${table.where ?? "TRUE"}`)
      const copied = yield* count(`SELECT count(*) FROM (${target})`)
      const different = yield* count(`SELECT count(*) FROM (${source} EXCEPT ${target})`)
      if (rows !== copied || different > 0) {
        return yield* Effect.fail(
          new CopyDiffers(`of ${rows} ${table.name}, ${copied} were copied, ${different} of them not exactly`)
        )
      }
      return rows
    })

    // A topic may name a channel that is missing until the end.
    yield* sql.unsafe("PRAGMA defer_foreign_keys = ON")
    for (const table of tables.slice(0, 2)) yield* copy(table)
    for (const statement of missing) yield* sql.unsafe(statement)
    for (const table of tables.slice(2)) yield* copy(table)

    const rows: Record<string, number> = {}
    for (const table of tables) rows[table.to] = yield* compare(table)
    const { channels = 0, topics = 0, messages = 0, attachments = 0, enrichments = 0, events = 0 } = rows

    if ((yield* count(`SELECT count(*) FROM v1.sqlite_schema WHERE name = '${v1Index}'`)) > 0) {
      yield* createV1Index
    }
    yield* sql`
      UPDATE main.meta SET value = old.value FROM v1.meta old
      WHERE main.meta.key = old.key AND old.key IN ('db_id', 'created_at')`
    yield* sql`INSERT INTO main.meta (key, value) VALUES ('migrated_from', 'v1'), ('id_prefix', ${idPrefix})`
    // Numbers of events that v1 has used and no longer has must not be used again.
    const used = yield* count("SELECT max(seq) FROM v1.sqlite_sequence WHERE name = 'events'")
    yield* sql.unsafe("DELETE FROM main.sqlite_sequence WHERE name = 'events'")
    yield* sql`INSERT INTO main.sqlite_sequence (name, seq) VALUES ('events', ${used})`
    return {
      channels,
      topics,
      messages,
      attachments,
      enrichments,
      events,
      recovered:
        (yield* count("SELECT count(*) FROM main.channels")) -
        channels +
        (yield* count("SELECT count(*) FROM main.topics")) -
        topics,
      leftOut: (yield* count("SELECT count(*) FROM v1.enrichments")) - enrichments
    }
  })
