/** Reads what belongs to a message or a topic, completely. */
import type { Attachment, Enrichment } from "@agentlip/protocol"
import { Effect } from "effect"
import type { CommandError } from "../CommandError.ts"
import type { HubReader } from "./HubReader.ts"
import { collectAll } from "./pages.ts"

/** The attachments of a topic. */
export const attachmentsOf = ({ ask }: HubReader, topicId: string, kind?: string) =>
  collectAll<Attachment, CommandError, never>((limit, rows) =>
    Effect.map(
      ask((api) =>
        api.reads.attachments({
          params: { id: topicId },
          query: { limit, kind, after_id: rows.at(-1)?.id }
        })
      ),
      ({ attachments, has_more }) => ({ rows: attachments, has_more })
    )
  )

/** The enrichments of a message. */
export const enrichmentsOf = ({ ask }: HubReader, id: string) =>
  collectAll<Enrichment, CommandError, never>((limit, rows) =>
    Effect.map(
      ask((api) => api.reads.enrichments({ params: { id }, query: { limit, offset: rows.length } })),
      ({ enrichments, has_more }) => ({ rows: enrichments, has_more })
    )
  )
