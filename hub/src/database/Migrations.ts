/**
 * The database's tables and their migrations. They are the same on SQLite and PostgreSQL, except where this file says
 * otherwise.
 */
import { Effect, Layer } from "effect"
import { Migrator, SqlClient, type SqlError } from "effect/sql"
import { randomBytes } from "node:crypto"
import * as SearchTables from "./SearchTables.ts"

/** The SQL words in which the two databases differ. */
interface Words {
  /** Added after a table's columns. */
  readonly strict: string
  /** Added after the columns of a table that is stored in the order of its key. */
  readonly byKey: string
  /** The type of a column whose numbers rise with every row and are never reused. */
  readonly rising: string
  /** The type of a column that counts events or jobs. */
  readonly count: string
  /** The index columns that identify an attachment within its topic. */
  readonly identity: string
}

const sqlite: Words = {
  strict: "STRICT",
  byKey: "STRICT, WITHOUT ROWID",
  rising: "INTEGER PRIMARY KEY AUTOINCREMENT",
  count: "INTEGER",
  // A unique index treats all NULLs as different. Here a missing key equals a missing key, but not the empty key.
  identity: "kind, COALESCE(key, ''), (key IS NULL), dedupe_key"
}

const postgres: Words = {
  strict: "",
  byKey: "",
  rising: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  count: "BIGINT",
  identity: "attachment_identity(kind, key, dedupe_key)"
}

/** Runs statements written for both databases. */
const migration = (statements: (words: Words) => ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const words = sql.onDialectOrElse({ pg: () => postgres, orElse: () => sqlite })
    yield* Effect.forEach(statements(words), (statement) => sql.unsafe(statement), { discard: true })
  })

const sqliteOnly = [
  `CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END`,
  `CREATE TRIGGER events_never_go BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never removed'); END`
]

const postgresFirst = [
  // An index cannot hold texts as long as an attachment's, so hash them.
  `CREATE FUNCTION attachment_identity(kind TEXT, key TEXT, dedupe_key TEXT) RETURNS BYTEA
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS $$
      SELECT sha256(convert_to(
        length(kind) || ':' || kind || COALESCE(length(key) || ':' || key, '') || ':' || dedupe_key, 'UTF8'))
    $$`,
  // Like the ids of hubs on SQLite: milliseconds since the epoch, and a counter. See Ids.ts.
  `CREATE SEQUENCE ids`
]

const postgresOnly = [
  `CREATE FUNCTION events_refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'events are never changed or removed'; END $$`,
  `CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()`
]

const tables = ({ strict, byKey, rising, identity }: Words): ReadonlyArray<string> => [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) ${strict}`,
  `CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at TEXT NOT NULL
  ) ${strict}`,
  `CREATE TABLE topics (
    id TEXT PRIMARY KEY,
    channel_id TEXT NOT NULL REFERENCES channels,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (channel_id, title)
  ) ${strict}`,
  `CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    topic_id TEXT NOT NULL REFERENCES topics,
    channel_id TEXT NOT NULL REFERENCES channels,
    sender TEXT NOT NULL,
    content_raw TEXT NOT NULL,
    version INTEGER NOT NULL,
    content_version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    edited_at TEXT,
    deleted_at TEXT,
    deleted_by TEXT
  ) ${strict}`,
  `CREATE INDEX messages_by_topic ON messages (topic_id, id)`,
  `CREATE INDEX messages_by_channel ON messages (channel_id, id)`,
  `CREATE TABLE enrichments (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES messages,
    plugin_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    span_start INTEGER NOT NULL,
    span_end INTEGER NOT NULL,
    data_json TEXT NOT NULL,
    created_at TEXT NOT NULL
  ) ${strict}`,
  `CREATE INDEX enrichments_by_message ON enrichments (message_id, plugin_name)`,
  `CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    topic_id TEXT NOT NULL REFERENCES topics,
    kind TEXT NOT NULL,
    key TEXT,
    value_json TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    source_message_id TEXT REFERENCES messages,
    posted INTEGER NOT NULL,
    created_at TEXT NOT NULL
  ) ${strict}`,
  `CREATE UNIQUE INDEX attachments_once ON attachments (topic_id, ${identity})`,
  `CREATE TABLE attachment_sources (
    attachment_id TEXT NOT NULL REFERENCES attachments ON DELETE CASCADE,
    message_id TEXT NOT NULL REFERENCES messages,
    plugin_name TEXT NOT NULL,
    PRIMARY KEY (message_id, plugin_name, attachment_id)
  ) ${byKey}`,
  `CREATE INDEX attachment_sources_by_attachment ON attachment_sources (attachment_id)`,
  `CREATE TABLE derivations (
    message_id TEXT NOT NULL REFERENCES messages,
    content_version INTEGER NOT NULL,
    plugin_name TEXT NOT NULL,
    state TEXT NOT NULL,
    error_json TEXT,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (message_id, content_version, plugin_name)
  ) ${byKey}`,
  `CREATE INDEX derivations_pending ON derivations (plugin_name) WHERE state = 'pending'`,
  `CREATE TABLE events (
    event_id ${rising},
    ts TEXT NOT NULL,
    name TEXT NOT NULL,
    channel_id TEXT,
    topic_id TEXT,
    topic_id2 TEXT,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    data_json TEXT NOT NULL
  ) ${strict}`,
  `CREATE INDEX events_by_channel ON events (channel_id, event_id)`,
  `CREATE INDEX events_by_topic ON events (topic_id, event_id)`,
  `CREATE INDEX events_by_topic2 ON events (topic_id2, event_id) WHERE topic_id2 IS NOT NULL`
]

const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* migration((words) =>
    sql.onDialectOrElse({
      pg: () => [...postgresFirst, ...tables(words), ...postgresOnly],
      orElse: () => [...tables(words), ...sqliteOnly]
    })
  )
  yield* sql`INSERT INTO meta (key, value) VALUES ('db_id', ${randomBytes(16).toString("hex")})`
})

/**
 * A post writes one short `outbox` row with the content's key and its plugins. Jobs are created from these rows later,
 * many at once. A job is a row in `derivations`; the commit of its findings ends it.
 */
const outbox = ({ byKey }: Words): ReadonlyArray<string> => [
  `CREATE TABLE outbox (
    message_id TEXT NOT NULL,
    content_version INTEGER NOT NULL,
    plugins_json TEXT NOT NULL,
    created_at TEXT NOT NULL,
    traceparent TEXT,
    PRIMARY KEY (message_id, content_version)
  ) ${byKey}`,
  `ALTER TABLE derivations ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE derivations ADD COLUMN traceparent TEXT`,
  `UPDATE derivations SET state = 'pending', error_json = NULL WHERE state = 'waiting'`,
  `DROP INDEX derivations_pending`,
  `CREATE INDEX derivations_pending ON derivations (plugin_name, message_id, content_version)
    WHERE state = 'pending'`,
  // The queue of older hubs. Every job open in it is open in `derivations` too.
  `DROP TABLE IF EXISTS jobs`
]

/** Answers to requests with an `Idempotency-Key`, stored by method, path and key. */
const idempotencyKeys = ({ byKey }: Words): ReadonlyArray<string> => [
  `CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    body_digest TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    created_at TEXT NOT NULL
  ) ${byKey}`,
  `CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)`
]

/** The hubs that share a database, and which of them works on a job: see Hubs.ts. A SQLite file has only one hub. */
const sharedOnPostgres = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* migration(() =>
    sql.onDialectOrElse({
      pg: () => [
        `CREATE TABLE hubs (id TEXT PRIMARY KEY, alive_until TIMESTAMPTZ NOT NULL)`,
        `ALTER TABLE derivations ADD COLUMN owner TEXT`
      ],
      orElse: () => []
    })
  )
})

/** For operators: backfills with their progress, and indexes to find jobs by state. */
const operations = ({ byKey, count }: Words): ReadonlyArray<string> => [
  `CREATE TABLE backfills (
    id TEXT PRIMARY KEY,
    plugin_name TEXT,
    since_event ${count},
    state TEXT NOT NULL,
    first_event ${count} NOT NULL,
    last_event ${count} NOT NULL,
    at_event ${count} NOT NULL,
    jobs ${count} NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
  ) ${byKey}`,
  `CREATE INDEX derivations_failed ON derivations (message_id, content_version, plugin_name)
    WHERE state = 'failed'`,
  `CREATE INDEX derivations_stale ON derivations (message_id, content_version, plugin_name)
    WHERE state = 'stale'`,
  // The backfill that last opened the job.
  `ALTER TABLE derivations ADD COLUMN backfill_id TEXT`,
  `CREATE INDEX derivations_of_backfill ON derivations (backfill_id)
    WHERE state = 'pending' AND backfill_id IS NOT NULL`
]

/** The message that an answer contains, so that its deletion finds the answer. See KeptAnswers.ts. */
const answersOfMessages = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const messageId = sql.onDialectOrElse({
    pg: () => "CASE WHEN answer <> '' THEN answer::json -> 'message' ->> 'id' END",
    orElse: () => "CASE WHEN json_valid(answer) THEN json_extract(answer, '$.message.id') END"
  })
  yield* migration(() => [
    `ALTER TABLE idempotency_keys ADD COLUMN message_id TEXT`,
    `UPDATE idempotency_keys SET message_id = ${messageId}`,
    `CREATE INDEX idempotency_keys_by_message ON idempotency_keys (message_id) WHERE message_id IS NOT NULL`
  ])
})

/** Gives every list that clients can request an index in the order of the list. */
const reads = (): ReadonlyArray<string> => [
  `CREATE INDEX IF NOT EXISTS derivations_ended ON derivations (state, plugin_name, message_id, content_version)
    WHERE state <> 'pending'`,
  `DROP INDEX IF EXISTS derivations_stale`,
  `CREATE INDEX IF NOT EXISTS topics_in_order ON topics (channel_id, id)`,
  `CREATE INDEX IF NOT EXISTS attachments_in_order ON attachments (topic_id, id)`,
  `CREATE INDEX IF NOT EXISTS attachments_of_kind ON attachments (topic_id, kind, id)`
]

/** Recent events searched for the highest id. Ids grow with events, so the newest events name it. */
const recentEvents = 10_000

/**
 * The mark that no id has passed: see Ids.ts. PostgreSQL has the sequence `ids` for it. Findings may be deleted, but
 * events still mention their ids.
 */
const lastId = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const recent = `event_id > (SELECT max(event_id) FROM events) - ${recentEvents}`
  yield* migration(() =>
    sql.onDialectOrElse({
      pg: () => [],
      orElse: () => [
        `INSERT INTO meta (key, value)
          SELECT 'last_id', max(last) FROM (
            SELECT max(id) AS last FROM channels
            UNION ALL SELECT max(id) FROM topics
            UNION ALL SELECT max(id) FROM messages
            UNION ALL SELECT max(id) FROM attachments
            UNION ALL SELECT max(id) FROM enrichments
            UNION ALL SELECT max(id) FROM backfills
            UNION ALL SELECT max(entity_id) FROM events WHERE ${recent} AND entity_type <> 'plugin'
            UNION ALL SELECT max(value) FROM events, json_each(data_json, '$.enrichment_ids')
              WHERE ${recent} AND name = 'message.enriched'
          ) WHERE last IS NOT NULL HAVING count(*) > 0
          ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`
      ]
    })
  )
})

/** Names of Agentlip v1, for programs that read the file. */
const namesOfV1 = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const scopes = ["channel_id", "topic_id", "topic_id2"]
  yield* migration(() =>
    sql.onDialectOrElse({
      pg: () => [],
      orElse: () => [
        ...scopes.map(
          (column) =>
            `ALTER TABLE events ADD COLUMN scope_${column} TEXT GENERATED ALWAYS AS (${column}) VIRTUAL`
        ),
        `CREATE VIEW topic_attachments AS
          SELECT id, topic_id, kind, key, value_json, dedupe_key, source_message_id, created_at FROM attachments`
      ]
    })
  )
})

const pluginVersions = () => ["ALTER TABLE enrichments ADD COLUMN plugin_version TEXT"]

/** Of the plugin that found an attachment in a message. */
const attachmentVersions = () => ["ALTER TABLE attachment_sources ADD COLUMN plugin_version TEXT"]

/**
 * For pruning and erasing: see retention/. Events are removed from the oldest on, up to a number that is recorded
 * first. Their data changes only while an erasure of a message in their channel is open.
 */
const retention = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const prunedUntil =
    "COALESCE((SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'events_pruned_until'), 0)"
  const isErased = "EXISTS (SELECT 1 FROM erasures WHERE channel_id = OLD.channel_id AND ended_at IS NULL)"
  const pruning = "events are removed by agentlip prune only, from the oldest on"
  const fixed = "event_id, ts, name, channel_id, topic_id, topic_id2, entity_type, entity_id"
  const of = (row: string) => fixed.replaceAll(/\w+/g, (column) => `${row}.${column}`)
  yield* migration(({ byKey, count }) => [
    `CREATE TABLE erasures (
      message_id TEXT PRIMARY KEY,
      channel_id TEXT NOT NULL,
      erased_by TEXT NOT NULL,
      at_event ${count} NOT NULL,
      last_event ${count} NOT NULL,
      events ${count} NOT NULL,
      requested_at TEXT NOT NULL,
      ended_at TEXT
    ) ${byKey}`,
    `CREATE INDEX erasures_open ON erasures (channel_id) WHERE ended_at IS NULL`,
    // The message that a backfill has reached; NULL: it walks through events.
    `ALTER TABLE backfills ADD COLUMN at_message TEXT`,
    ...sql.onDialectOrElse({
      pg: () => [
        `CREATE FUNCTION events_guard() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
          IF TG_OP = 'DELETE' THEN
            IF OLD.event_id > ${prunedUntil} THEN RAISE EXCEPTION '${pruning}'; END IF;
            RETURN OLD;
          END IF;
          IF (${of("NEW")}) IS DISTINCT FROM (${of("OLD")}) OR NOT ${isErased} THEN
            RAISE EXCEPTION 'events are never changed';
          END IF;
          RETURN NEW;
        END $$`,
        `DROP TRIGGER events_never_change ON events`,
        `CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE ON events
          FOR EACH ROW EXECUTE FUNCTION events_guard()`,
        `CREATE TRIGGER events_never_truncated BEFORE TRUNCATE ON events
          FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()`
      ],
      orElse: () => [
        `DROP TRIGGER events_never_go`,
        `CREATE TRIGGER events_never_go BEFORE DELETE ON events WHEN OLD.event_id > ${prunedUntil}
          BEGIN SELECT RAISE(ABORT, '${pruning}'); END`,
        `DROP TRIGGER events_never_change`,
        `CREATE TRIGGER events_never_change BEFORE UPDATE OF ${fixed} ON events
          BEGIN SELECT RAISE(ABORT, 'events are never changed'); END`,
        `CREATE TRIGGER events_never_change_data BEFORE UPDATE OF data_json ON events WHEN NOT ${isErased}
          BEGIN SELECT RAISE(ABORT, 'events are never changed'); END`
      ]
    })
  ])
})

const search = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* migration(() =>
    sql.onDialectOrElse({ pg: () => SearchTables.postgres, orElse: () => SearchTables.sqlite })
  )
})

/**
 * The orders and the identity of Agentlip v1: topics by activity, channels by name, and no key is the empty key. Of
 * attachments that are the same then, the oldest stays.
 */
const asInV1 = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const keyless = (name: string) => `COALESCE(${name}.key, '') = ''`
  /** `newer` is the same attachment as `older`. */
  const same = `older.topic_id = newer.topic_id AND older.kind = newer.kind
    AND older.dedupe_key = newer.dedupe_key AND older.id < newer.id AND ${keyless("older")} AND ${keyless("newer")}`
  const pairs = `attachments older JOIN attachments newer ON ${same}`
  yield* migration(() => [
    `UPDATE attachments SET posted = 1 WHERE id IN (SELECT older.id FROM ${pairs} WHERE newer.posted = 1)`,
    `INSERT INTO attachment_sources (attachment_id, message_id, plugin_name)
      SELECT older.id, source.message_id, source.plugin_name
      FROM ${pairs} JOIN attachment_sources source ON source.attachment_id = newer.id
      WHERE true ON CONFLICT DO NOTHING`,
    `DELETE FROM attachments WHERE id IN (SELECT newer.id FROM ${pairs})`,
    `DROP INDEX IF EXISTS attachments_once`,
    ...sql.onDialectOrElse({
      pg: () => [
        `CREATE OR REPLACE FUNCTION attachment_identity(kind TEXT, key TEXT, dedupe_key TEXT) RETURNS BYTEA
          LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS $$
            SELECT sha256(convert_to(length(kind) || ':' || kind
              || length(COALESCE(key, '')) || ':' || COALESCE(key, '') || ':' || dedupe_key, 'UTF8'))
          $$`,
        `CREATE UNIQUE INDEX attachments_once ON attachments (topic_id, attachment_identity(kind, key, dedupe_key))`,
        `CREATE INDEX IF NOT EXISTS channels_in_order ON channels (name COLLATE "C")`
      ],
      orElse: () => [
        `CREATE UNIQUE INDEX attachments_once ON attachments (topic_id, kind, COALESCE(key, ''), dedupe_key)`
      ]
    }),
    `DROP INDEX IF EXISTS topics_in_order`,
    `CREATE INDEX IF NOT EXISTS topics_by_activity ON topics (channel_id, updated_at, id)`
  ])
})

/** What programs for Agentlip v1 look for in `meta`. Nothing in the hub reads it. */
const metaOfV1 = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* migration(() =>
    sql.onDialectOrElse({
      pg: () => [],
      orElse: () => [
        `INSERT INTO meta (key, value) VALUES
          ('schema_version', '1'),
          ('created_at', COALESCE((SELECT min(created_at) FROM channels), strftime('%Y-%m-%dT%H:%M:%fZ')))
          ON CONFLICT DO NOTHING`
      ]
    })
  )
})

const migrations = {
  "0001_tables": createTables,
  "0002_outbox": migration(outbox),
  "0003_idempotency_keys": migration(idempotencyKeys),
  "0004_hubs": sharedOnPostgres,
  "0005_operations": migration(operations),
  "0006_answers_of_messages": answersOfMessages,
  "0007_reads": migration(reads),
  "0008_last_id": lastId,
  "0009_names_of_v1": namesOfV1,
  "0010_plugin_versions": migration(pluginVersions),
  "0011_retention": retention,
  "0012_search": search,
  "0013_as_in_v1": asInV1,
  "0014_meta_of_v1": metaOfV1,
  "0015_attachment_versions": migration(attachmentVersions)
}

/** The number of the last migration, not the wire's `schema_version`. The database of a newer hub has a higher one. */
export const tablesVersion = Object.keys(migrations).length

/** Migrates the database to the version of this hub. Has no effect if it is there already. */
export const migrate = Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: "migrations" })

/** Migrates a new database up to an earlier version, for comparison with a database of that version. */
export const migrateTo = (version: number) =>
  Migrator.make({})({
    loader: Migrator.fromRecord(Object.fromEntries(Object.entries(migrations).slice(0, version))),
    table: "migrations"
  })

/** Runs `migrate` before any layer that needs the tables. */
export const layer: Layer.Layer<never, Migrator.MigrationError | SqlError.SqlError, SqlClient.SqlClient> =
  Layer.effectDiscard(migrate)
