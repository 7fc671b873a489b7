/** Search in messages and in attachments, which are what extractors find and clients post. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Attachment, Message } from "./Entities.ts"
import { InvalidInput } from "./Errors.ts"
import { EveryRequest, ReadAuthorization, Validation } from "./Middlewares.ts"
import { described, limit } from "./parameters.ts"

/** What a search looks at. */
export const SearchIn = Schema.Literals(["messages", "attachments", "both"])
export type SearchIn = typeof SearchIn.Type

/** The part of a text that shows what was found. It is plain text, never markup. */
export const Snippet = Schema.Struct({
  text: Schema.String,
  /** What was found, in UTF-16 code units of `text`: from `start` to before `end`. Sorted, and without overlaps. */
  highlights: Schema.Array(Schema.Struct({ start: Schema.Int, end: Schema.Int })),
  /** Whether the whole text has more before the snippet. */
  cut_before: Schema.Boolean,
  /** Whether the whole text has more after the snippet. */
  cut_after: Schema.Boolean
})
export type Snippet = typeof Snippet.Type

const place = { channel_name: Schema.String, topic_title: Schema.String, snippet: Snippet }

/** A message or an attachment that was found, with the names of its channel and topic. */
export const SearchResult = Schema.Union([
  Schema.Struct({ type: Schema.Literal("message"), message: Message, ...place }),
  Schema.Struct({
    type: Schema.Literal("attachment"),
    attachment: Attachment,
    channel_id: Schema.String,
    ...place
  })
]).pipe(Schema.toTaggedUnion("type"))
export type SearchResult = typeof SearchResult.Type

/** How far the index is. It is built in the background when a hub opens a database of an earlier version. */
export const SearchIndex = Schema.Struct({
  /** Whether everything can be found. Otherwise older messages are still missing: newer ones are indexed first. */
  complete: Schema.Boolean,
  /** Rows of the earlier version that are indexed. */
  done: Schema.Int,
  total: Schema.Int
})
export type SearchIndex = typeof SearchIndex.Type

const timePattern = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/

/** A date or a time in ISO 8601, in UTC unless it has an offset. */
const time = Schema.String.check(
  Schema.isPattern(timePattern, {
    message: "must be a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z"
  })
)

export class Search extends HttpApiGroup.make("search")
  .add(
    HttpApiEndpoint.get("search", "/search", {
      query: {
        q: described(
          'What to find: words (all of them), "phrases", prefix*, OR, -not, AND, NOT, parentheses, ' +
            "NEAR(one two, 5), ^first. At most 1,000 characters.",
          Schema.String
        ),
        in: Schema.optional(
          described("Look at `messages`, `attachments` or `both`. Default: `both`.", SearchIn)
        ),
        channel_id: Schema.optional(described("Only in this channel.", Schema.String)),
        topic_id: Schema.optional(described("Only in this topic.", Schema.String)),
        sender: Schema.optional(
          described("Only messages of this sender, and attachments found in them.", Schema.String)
        ),
        created_after: Schema.optional(
          described("Only what was created at this time or later. A date or a time in ISO 8601.", time)
        ),
        created_before: Schema.optional(described("Only what was created before this time.", time)),
        limit: limit("20"),
        after: Schema.optional(described("The `next` of the page before.", Schema.String))
      },
      success: Schema.Struct({
        results: Schema.Array(SearchResult),
        /** The `after` of the next page; `null` on the last one. A page can be empty and not the last. */
        next: Schema.NullOr(Schema.String),
        index: SearchIndex
      }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "Search messages and attachments, newest first"),
    HttpApiEndpoint.get("searchIndex", "/search/index", {
      success: Schema.Struct({ index: SearchIndex })
    }).annotate(OpenApi.Summary, "Show how far the index of the search is")
  )
  .middleware(Validation)
  .middleware(ReadAuthorization)
  .middleware(EveryRequest)
  .annotateMerge(OpenApi.annotations({ title: "Search", description: "Full-text search." }))
  .prefix("/api/v1") {}
