/** Enrichments as the database holds them. */
import type { Enrichment } from "@agentlip/protocol"

export interface EnrichmentRow {
  readonly id: string
  readonly message_id: string
  readonly plugin_name: string
  readonly kind: string
  readonly span_start: number
  readonly span_end: number
  readonly data_json: string
  readonly created_at: string
}

export const toEnrichment = ({ span_start, span_end, data_json, ...row }: EnrichmentRow): Enrichment => ({
  ...row,
  span: { start: span_start, end: span_end },
  data: JSON.parse(data_json)
})
