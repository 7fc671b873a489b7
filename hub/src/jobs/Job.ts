/** Jobs and their outcomes. A job is one plugin on one content of one message. */
import type { JobError } from "@agentlip/protocol"
import type { AttachmentDraft, EnrichmentDraft } from "./findings/drafts.ts"

/** One content of a message. An edit creates the next version. */
export interface ContentKey {
  readonly message_id: string
  readonly content_version: number
}

/** A content that was written just now. */
export interface PostedContent extends ContentKey {
  /** The W3C trace context of the request that wrote it; `null` if it was not traced. */
  readonly traceparent: string | null
}

/** Identifies a job. */
export interface JobKey extends ContentKey {
  readonly plugin_name: string
}

/** The same text for the same job. */
export const jobKeyOf = ({ message_id, content_version, plugin_name }: JobKey): string =>
  `${message_id}/${content_version}/${plugin_name}`

/** A message as it was when its job was claimed. */
export interface JobMessage {
  readonly id: string
  readonly content_raw: string
  readonly sender: string
  readonly topic_id: string
  readonly channel_id: string
  readonly created_at: string
  readonly content_version: number
  readonly deleted_at: string | null
}

/** A job that this process works on. */
export interface ClaimedJob extends JobKey {
  /** How often the job was started, this time included. */
  readonly attempts: number
  /** The job started before and never ended. Its plugin must be ready before this delivery counts. */
  readonly again: boolean
  /** The W3C trace context of the request that created the job; `null` if it was not traced. */
  readonly traceparent: string | null
  readonly message: JobMessage
}

/** What the log says about a failure, beside its code. */
export interface LoggedFailure {
  readonly error?: string
  /** File, line and column. */
  readonly at?: string
}

/** What came of a run. */
export type Outcome =
  | { readonly _tag: "Enrichments"; readonly job: ClaimedJob; readonly found: ReadonlyArray<EnrichmentDraft> }
  | { readonly _tag: "Attachments"; readonly job: ClaimedJob; readonly found: ReadonlyArray<AttachmentDraft> }
  | {
      readonly _tag: "Failed"
      readonly job: ClaimedJob
      readonly error: JobError
      readonly logged?: LoggedFailure
    }
  /** The message changed before the plugin ran. */
  | { readonly _tag: "Overtaken"; readonly job: ClaimedJob }
