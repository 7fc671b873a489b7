/** The reads that commands use: calls of a running hub, or of the database itself. */
import type {
  Attachment,
  Channel,
  Enrichment,
  Finding,
  Job,
  Message,
  SearchIndex,
  Topic
} from "@agentlip/protocol"
import type { Effect } from "effect"
import type { Summary } from "../../database/Summary.ts"
import type { SearchAnswer, SearchQuery } from "../../search/search.ts"
import type { CommandError } from "../CommandError.ts"

interface Page {
  readonly limit?: number | undefined
  readonly offset?: number | undefined
  readonly after_id?: string | undefined
}

/** A call of the API. The error is anything that `ask` turns into a `CommandError`. */
type Read<Request, Found> = (request: Request) => Effect.Effect<Found, unknown>
type List<Name extends string, Row> = { readonly [name in Name]: ReadonlyArray<Row> } & {
  readonly has_more: boolean
}
interface ById<Query> {
  readonly params: { readonly id: string }
  readonly query: Query
}

/** The reads of the API that commands use. */
export interface Reads {
  readonly channels: Read<{ readonly query: Omit<Page, "offset"> }, List<"channels", Channel>>
  readonly topics: Read<ById<Omit<Page, "after_id">>, List<"topics", Topic>>
  readonly messages: Read<
    {
      readonly query: Omit<Page, "offset"> & {
        readonly topic_id?: string | undefined
        readonly channel_id?: string | undefined
        readonly before_id?: string | undefined
        readonly order?: "asc" | "desc" | undefined
      }
    },
    List<"messages", Message>
  >
  readonly message: Read<Pick<ById<never>, "params">, { readonly message: Message }>
  readonly enrichments: Read<ById<Omit<Page, "after_id">>, List<"enrichments", Enrichment>>
  readonly findings: Read<
    { readonly query: { readonly message_id: ReadonlyArray<string> } },
    { readonly findings: ReadonlyArray<Finding> }
  >
  readonly derivations: Read<ById<Omit<Page, "after_id">>, List<"derivations", Job>>
  readonly attachments: Read<
    ById<Omit<Page, "offset"> & { readonly kind?: string | undefined }>,
    List<"attachments", Attachment>
  >
}

export interface HubReader {
  readonly workspace: string
  /** Every failure is a `CommandError` with its exit code. */
  readonly ask: <A>(
    question: (api: {
      readonly reads: Reads
      readonly search: { readonly search: Read<{ readonly query: SearchQuery }, SearchAnswer> }
    }) => Effect.Effect<A, unknown>
  ) => Effect.Effect<A, CommandError>
}

/** Reads a database without a hub. */
export interface OfflineReader extends HubReader {
  readonly summary: Effect.Effect<Summary, CommandError>
  readonly searchIndex: Effect.Effect<SearchIndex, CommandError>
}
