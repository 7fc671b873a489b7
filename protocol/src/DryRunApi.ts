/** Tries a plugin on a text, without posting it. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Enrichment, JsonObject } from "./Entities.ts"
import { InvalidInput, NotFound, PayloadTooLarge, ServiceUnavailable } from "./Errors.ts"
import { Authorization, EveryRequest, TextBody, Validation } from "./Middlewares.ts"
import { described } from "./parameters.ts"
import { Grants, LogLine, PluginProblem } from "./Plugins.ts"
import * as Texts from "./Texts.ts"

/** What came of a dry run. Times are in milliseconds. */
export const DryRun = Schema.Struct({
  plugin: Schema.Struct({
    name: Schema.String,
    kind: Schema.String,
    /** The version that its module states; `null` if it did not load. */
    version: Schema.NullOr(Schema.String),
    module_path: Schema.String,
    isolation: Schema.Literals(["thread", "process", "wasm"]),
    enforcement: Schema.Literals(["enforce", "audit"]),
    grants: Grants,
    /** Whether its settings are those of an entry of the config file, and not the defaults. */
    is_configured: Schema.Boolean
  }),
  /** What a linkifier found. */
  enrichments: Schema.Array(
    Schema.Struct({
      kind: Enrichment.fields.kind,
      span: Enrichment.fields.span,
      data: Enrichment.fields.data
    })
  ),
  /** What an extractor would attach. */
  attachments: Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      key: Schema.optionalKey(Schema.String),
      value_json: JsonObject,
      dedupe_key: Schema.optionalKey(Schema.String)
    })
  ),
  error: Schema.NullOr(PluginProblem),
  logs: Schema.Array(LogLine),
  /** Further lines, which are not shown. */
  logs_left_out: Schema.Int,
  /** Until the plugin was loaded in a new isolate; `null` if it did not load. */
  load_ms: Schema.NullOr(Schema.Finite),
  /** Between the load and the run; `null` if no isolate began the run. */
  queue_ms: Schema.NullOr(Schema.Finite),
  run_ms: Schema.NullOr(Schema.Finite),
  /** In audit mode: the line for the config file that grants what the run used; empty if it needs nothing more. */
  audit_snippet: Schema.String
})
export type DryRun = typeof DryRun.Type

export class DryRuns extends HttpApiGroup.make("dryRuns")
  .add(
    HttpApiEndpoint.post("dryRun", "/dry-runs", {
      payload: Schema.Struct({
        text: described("The text of the message, at most 64 KiB of UTF-8.", Schema.String),
        plugin: Schema.optionalKey(
          described("A configured plugin, with its settings in the config file.", Texts.id)
        ),
        module_path: Schema.optionalKey(
          described(
            "Instead of `plugin`: a module of the workspace. With the settings of its entry in the config file, or else the defaults: isolation `process`, no grants.",
            Schema.String.check(Schema.isMaxLength(4_096))
          )
        )
      }),
      success: DryRun,
      error: [InvalidInput, NotFound, PayloadTooLarge, ServiceUnavailable]
    }).annotate(OpenApi.Summary, "Run a plugin on a text in a new isolate, without posting the text")
  )
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(Authorization)
  .middleware(EveryRequest)
  .annotateMerge(
    OpenApi.annotations({
      title: "Dry runs",
      description:
        "Try a plugin. A dry run writes nothing, and does not touch the plugin's circuit or metrics."
    })
  )
  .prefix("/api/v1") {}
