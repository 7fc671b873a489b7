/** Findings as they are encoded before a transaction opens, to keep the transaction short. */
import type { Attachment as PluginAttachment, Enrichment as PluginEnrichment } from "@agentlip/plugin-runtime"

/** The place of a message at the time of a commit. */
export interface Place {
  readonly message_id: string
  readonly topic_id: string
  readonly channel_id: string
}

export interface EnrichmentDraft {
  readonly kind: string
  readonly span: PluginEnrichment["span"]
  readonly data_json: string
  /** The version that the plugin's module states, also if the result was cached; `null` if it is not known. */
  readonly plugin_version: string | null
}

export interface AttachmentDraft {
  readonly kind: string
  readonly key: string | null
  readonly dedupe_key: string
  readonly value_json: string
  /** As of an enrichment. */
  readonly plugin_version: string | null
}

/** All findings of one run. */
export interface RunFindings<Draft> {
  readonly place: Place
  readonly plugin: string
  readonly found: ReadonlyArray<Draft>
}

/** SQLite cannot store a lone surrogate, and PostgreSQL cannot store U+0000. */
const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd")

const storableVersion = (version: string | null): string | null =>
  version === null ? null : storable(version)

export const draftEnrichment = (
  { kind, span, data }: PluginEnrichment,
  version: string | null = null
): EnrichmentDraft => ({
  kind: storable(kind),
  span,
  data_json: JSON.stringify(data),
  plugin_version: storableVersion(version)
})

export const draftAttachment = (
  { kind, key, dedupe_key, value_json: value }: PluginAttachment,
  version: string | null = null
): AttachmentDraft => {
  const value_json = JSON.stringify(value)
  return {
    kind: storable(kind),
    key: key === undefined ? null : storable(key),
    dedupe_key: dedupe_key === undefined ? value_json : storable(dedupe_key),
    value_json,
    plugin_version: storableVersion(version)
  }
}
