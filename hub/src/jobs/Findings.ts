/**
 * Stores findings. The findings of a run replace what the plugin found in that message before.
 *
 * **Details**: an attachment belongs to its topic. It stays while it has a source: a client that posted it, or a
 * message it was found in (`attachment_sources`). Two messages with the same link share one attachment; it is removed
 * with the last of them.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { EventLog } from "../core/EventLog.ts"
import type { Ids } from "../core/Ids.ts"
import { type Offset, Pages } from "../database/Pages.ts"
import { makeAttachments } from "./findings/attachments.ts"
import type { AttachmentDraft, EnrichmentDraft, RunFindings } from "./findings/drafts.ts"
import { makeEnrichments } from "./findings/enrichments.ts"
import { makeFindingsList } from "./findings/list.ts"

type Write = Effect.Effect<void, SqlError.SqlError>

export class Findings extends Context.Service<
  Findings,
  {
    /** Replaces the enrichments of linkifier runs and writes their events. A run without findings only removes. */
    readonly enrich: (findings: ReadonlyArray<RunFindings<EnrichmentDraft>>, at: string) => Write
    /** Replaces the attachments of extractor runs and writes their events. A run without findings only removes. */
    readonly attach: (findings: ReadonlyArray<RunFindings<AttachmentDraft>>, at: string) => Write
    /** Removes a message's enrichments, because their spans point into a text that is gone. */
    readonly removeEnrichments: (messageId: string, plugin?: string) => Write
    /** Removes a message as the source of attachments, and the attachments that have no other source. */
    readonly removeAttachments: (messageId: string, plugin?: string) => Write
    /** The findings of several messages, each as JSON: see findings/list.ts. */
    readonly list: ReturnType<typeof makeFindingsList>
    /** The enrichments of a message, each as JSON, sorted by position in the text. */
    readonly enrichments: (
      messageId: string,
      page: Offset
    ) => Effect.Effect<
      { readonly items: ReadonlyArray<string>; readonly has_more: boolean },
      SqlError.SqlError
    >
  }
>()("@agentlip/hub/Findings") {
  static readonly layer: Layer.Layer<Findings, never, SqlClient.SqlClient | EventLog | Ids> = Layer.effect(
    Findings,
    Effect.gen(function* () {
      const enrichments = yield* makeEnrichments
      const attachments = yield* makeAttachments
      return Findings.of({
        enrich: enrichments.replace,
        attach: attachments.replace,
        removeEnrichments: enrichments.remove,
        removeAttachments: attachments.remove,
        enrichments: enrichments.list,
        list: makeFindingsList(yield* SqlClient.SqlClient, yield* Pages)
      })
    })
  ).pipe(Layer.provide(Pages.layer))
}
