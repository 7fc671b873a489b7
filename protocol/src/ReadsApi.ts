/** Calls that read what a hub keeps: channels, topics, messages, findings, plugins and events. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { InvalidInput, NotFound } from "./Errors.ts"
import { Attachment, Channel, Job, Enrichment, Finding, Message, Topic } from "./Entities.ts"
import { HubEvent } from "./Events.ts"
import { EveryRequest, ReadAuthorization, Validation } from "./Middlewares.ts"
import {
  after,
  afterId,
  allThatFit,
  byId,
  byName,
  described,
  ids,
  limit,
  offset,
  rows
} from "./parameters.ts"
import { PluginDetails, PluginRun, PluginSummary } from "./Plugins.ts"

const has_more = Schema.Boolean
const page = { limit: limit(allThatFit), offset }

/** Most messages of one call of `findings`. */
export const maxMessagesOfFindings = 100

export class Reads extends HttpApiGroup.make("reads")
  .add(
    HttpApiEndpoint.get("channels", "/channels", {
      query: { limit: limit(allThatFit), after_id: afterId("channels") },
      success: Schema.Struct({ channels: Schema.Array(Channel), has_more }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "List channels, by name"),
    HttpApiEndpoint.get("topics", "/channels/:id/topics", {
      params: byId("channel"),
      query: { limit: limit("50"), offset },
      success: Schema.Struct({ topics: Schema.Array(Topic), has_more }),
      error: [NotFound, InvalidInput]
    }).annotate(OpenApi.Summary, "List the topics of a channel, latest activity first"),
    HttpApiEndpoint.get("messages", "/messages", {
      query: {
        topic_id: Schema.optional(described("Only messages of this topic.", Schema.String)),
        channel_id: Schema.optional(
          described("Only messages of this channel. Pass this, `topic_id`, or both.", Schema.String)
        ),
        limit: limit("50"),
        before_id: Schema.optional(described("Only messages before the one with this id.", Schema.String)),
        after_id: Schema.optional(
          described(
            "Only messages after the one with this id. Without `before_id` and `order`: those directly after it, newest first.",
            Schema.String
          )
        ),
        order: Schema.optional(
          described(
            "`asc`: the oldest messages, oldest first. `desc`: the newest, newest first. Default: newest first.",
            Schema.Literals(["asc", "desc"])
          )
        )
      },
      success: Schema.Struct({ messages: Schema.Array(Message), has_more }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "List messages of a topic or a channel, newest first"),
    HttpApiEndpoint.get("message", "/messages/:id", {
      params: byId("message"),
      success: Schema.Struct({ message: Message }),
      error: NotFound
    }).annotate(OpenApi.Summary, "Read a message"),
    HttpApiEndpoint.get("enrichments", "/messages/:id/enrichments", {
      params: byId("message"),
      query: page,
      success: Schema.Struct({ enrichments: Schema.Array(Enrichment), has_more }),
      error: NotFound
    }).annotate(OpenApi.Summary, "List the enrichments of a message, by their place in the text"),
    HttpApiEndpoint.get("findings", "/findings", {
      query: {
        message_id: described(
          `The id of a message. May be repeated, up to ${maxMessagesOfFindings} times.`,
          Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(maxMessagesOfFindings))
        ),
        limit: limit(allThatFit),
        after: Schema.optional(described("The `next` of the page before.", Schema.String))
      },
      success: Schema.Struct({ findings: Schema.Array(Finding), next: Schema.NullOr(Schema.String) }),
      error: InvalidInput
    }).annotate(
      OpenApi.Summary,
      "List what plugins found in several messages at once: enrichments and attachments"
    ),
    HttpApiEndpoint.get("derivations", "/messages/:id/derivations", {
      params: byId("message"),
      query: page,
      success: Schema.Struct({ derivations: Schema.Array(Job), has_more }),
      error: NotFound
    }).annotate(OpenApi.Summary, "List the jobs of a message: one per plugin and content"),
    HttpApiEndpoint.get("attachments", "/topics/:id/attachments", {
      params: byId("topic"),
      query: {
        kind: Schema.optional(described("Only attachments of this kind.", Schema.String)),
        limit: limit(allThatFit),
        after_id: afterId("attachments")
      },
      success: Schema.Struct({ attachments: Schema.Array(Attachment), has_more }),
      error: NotFound
    }).annotate(OpenApi.Summary, "List the attachments of a topic, newest first"),
    HttpApiEndpoint.get("plugins", "/plugins", {
      success: Schema.Struct({
        plugins: Schema.Array(PluginSummary),
        /** Why the config file cannot be used as it is now, while the hub runs with the previous one. */
        config_problem: Schema.NullOr(Schema.String)
      })
    }).annotate(OpenApi.Summary, "List the plugins, their circuits and how their runs went"),
    HttpApiEndpoint.get("plugin", "/plugins/:name", {
      params: byName,
      success: Schema.Struct({ plugin: PluginDetails }),
      error: NotFound
    }).annotate(OpenApi.Summary, "Show a plugin with its settings and its latest errors"),
    HttpApiEndpoint.get("pluginRuns", "/plugins/:name/runs", {
      params: byName,
      success: Schema.Struct({
        runs: described(
          "Newest first: the latest 50, and of earlier ones the latest 20 that failed.",
          Schema.Array(PluginRun)
        )
      }),
      error: NotFound
    }).annotate(OpenApi.Summary, "List the latest runs of a plugin, with what they logged"),
    HttpApiEndpoint.get("events", "/events", {
      query: {
        after: Schema.optional(after),
        limit: limit("100"),
        tail: Schema.optional(
          described(
            "The newest events instead: this many, and 1,000 if it is more. Not together with `after`.",
            rows
          )
        ),
        channel_id: ids("Only events of these channels, or of the topics in `topic_id`. May be repeated."),
        topic_id: ids("Only events of these topics, or of the channels in `channel_id`. May be repeated.")
      },
      success: Schema.Struct({
        replay_until: described(
          "Every matching event up to this number is on the page. Continue after it.",
          Schema.Int
        ),
        has_more,
        pruned_until: Schema.optionalKey(
          described(
            "Events up to this number were pruned. If it is greater than `after`, events are missing before this page. Absent if none was pruned.",
            Schema.Int
          )
        ),
        events: Schema.Array(HubEvent)
      }),
      error: InvalidInput
    }).annotate(OpenApi.Summary, "List events, oldest first")
  )
  .middleware(Validation)
  .middleware(ReadAuthorization)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({
      title: "Reads",
      description: "Channels, topics, messages, findings, plugins and events."
    })
  )
  .prefix("/api/v1") {}
