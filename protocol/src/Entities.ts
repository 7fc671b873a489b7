/** What a hub keeps and shows: channels, topics, messages, and what plugins found in them. */
import { Schema } from "effect"

/** A JSON object, such as an attachment's fact. */
export const JsonObject = Schema.Record(Schema.String, Schema.Json)
export type JsonObject = typeof JsonObject.Type

export const Channel = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  description: Schema.NullOr(Schema.String),
  created_at: Schema.String
})
export type Channel = typeof Channel.Type

export const Topic = Schema.Struct({
  id: Schema.String,
  channel_id: Schema.String,
  title: Schema.String,
  created_at: Schema.String,
  updated_at: Schema.String
})
export type Topic = typeof Topic.Type

/** `version` grows with every edit, deletion and move. */
export const Message = Schema.Struct({
  id: Schema.String,
  topic_id: Schema.String,
  channel_id: Schema.String,
  sender: Schema.String,
  content_raw: Schema.String,
  version: Schema.Int,
  created_at: Schema.String,
  edited_at: Schema.NullOr(Schema.String),
  deleted_at: Schema.NullOr(Schema.String),
  deleted_by: Schema.NullOr(Schema.String)
})
export type Message = typeof Message.Type

export const Attachment = Schema.Struct({
  id: Schema.String,
  topic_id: Schema.String,
  kind: Schema.String,
  key: Schema.NullOr(Schema.String),
  value_json: JsonObject,
  dedupe_key: Schema.String,
  source_message_id: Schema.NullOr(Schema.String),
  created_at: Schema.String
})
export type Attachment = typeof Attachment.Type

/** A derived row: what a linkifier found in a message's current content. */
export const Enrichment = Schema.Struct({
  id: Schema.String,
  message_id: Schema.String,
  plugin_name: Schema.String,
  /** The version that the plugin's module stated when it found this; `null` if that is not known. */
  plugin_version: Schema.NullOr(Schema.String),
  kind: Schema.String,
  span: Schema.Struct({ start: Schema.Int, end: Schema.Int }),
  data: JsonObject,
  created_at: Schema.String
})
export type Enrichment = typeof Enrichment.Type

/**
 * A finding of a plugin in a message, with the plugin's name. Two messages that hold the same fact share one attachment,
 * so it can be a finding of both.
 */
export const Finding = Schema.Union([
  Schema.Struct({ type: Schema.Literal("enrichment"), ...Enrichment.fields }),
  Schema.Struct({
    type: Schema.Literal("attachment"),
    message_id: Schema.String,
    plugin_name: Schema.String,
    plugin_version: Enrichment.fields.plugin_version,
    attachment: Attachment
  })
]).pipe(Schema.toTaggedUnion("type"))
export type Finding = typeof Finding.Type

/**
 * How far one plugin's job on one content of a message is. `pending` and `waiting` (the plugin's breaker is
 * open) are still to run; the others are ends.
 */
export const JobState = Schema.Literals(["pending", "waiting", "committed", "empty", "stale", "failed"])
export type JobState = typeof JobState.Type

/** Why a job failed or waits; `error` is the plugin error in full. */
export const JobError = Schema.Struct({
  code: Schema.String,
  message: Schema.String,
  error: Schema.optionalKey(Schema.Json)
})
export type JobError = typeof JobError.Type

export const Job = Schema.Struct({
  message_id: Schema.String,
  /** 1 for the content a message was created with, one more with each edit. */
  content_version: Schema.Int,
  plugin_name: Schema.String,
  state: JobState,
  error: Schema.NullOr(JobError),
  created_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String)
})
export type Job = typeof Job.Type

/** Messages that plugins are asked about once more. Progress is in messages, or with `since_event` in events. */
export const Backfill = Schema.Struct({
  id: Schema.String,
  /** `null`: all plugins of the config. */
  plugin_name: Schema.NullOr(Schema.String),
  /** Only messages that were written or edited after this event; `null`: all. */
  since_event: Schema.NullOr(Schema.Int),
  state: Schema.Literals(["running", "paused", "done"]),
  total: Schema.Int,
  done: Schema.Int,
  /** Jobs it has given so far; plugins may still be at some of them unless it is `done`. */
  jobs: Schema.Int,
  created_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String)
})
export type Backfill = typeof Backfill.Type

const PruneCounts = Schema.Struct({
  events: Schema.Int,
  jobs: Schema.Int,
  results: Schema.Int,
  backfills: Schema.Int
})
/** Numbers of rows by kind. `results` are cached outputs of plugins. */
export type PruneCounts = typeof PruneCounts.Type

/** The removal of old events, ended jobs, unused cached outputs and finished backfills. */
export const Prune = Schema.Struct({
  state: Schema.Literals(["counting", "removing", "done", "stopped", "failed"]),
  /** Only count what would be removed. */
  dry_run: Schema.Boolean,
  /** Only what is older than this time. `null`: events of any age, and nothing else. */
  before: Schema.NullOr(Schema.String),
  /** This many of the newest events stay, whatever their age. */
  keep_events: Schema.NullOr(Schema.Int),
  /** What there is to remove. Complete when the state is no longer `counting`. */
  total: PruneCounts,
  removed: PruneCounts,
  /** Events up to this number have been pruned, now or earlier. 0: none. */
  pruned_until: Schema.Int,
  started_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String),
  /** Why it failed. */
  error: Schema.NullOr(Schema.String)
})
export type Prune = typeof Prune.Type

/** The removal of a deleted message's text from the event log. */
export const Erasure = Schema.Struct({
  message_id: Schema.String,
  state: Schema.Literals(["running", "done"]),
  /** Events that were changed so far. */
  events: Schema.Int,
  requested_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String)
})
export type Erasure = typeof Erasure.Type
