/** What a reply to a run means: an output's JSON, or a `PluginError`. */
import { Effect, Schema } from "effect"
import { reportedGrants } from "../../capabilities/reported.ts"
import { ExecutionError, InvalidOutput, type PluginError, ThrownValue } from "../../Errors.ts"
import type { PluginSpec } from "../../Plugin.ts"
import { lineText } from "../../text.ts"
import { ReplyType } from "../../wire/messages.ts"
import type { GuestReply } from "./PendingRequests.ts"
import { brokenReply, printableThrown } from "./pluginErrors.ts"

const decodeText = Schema.decodeEffect(Schema.fromJsonString(Schema.String))
/** The grants are a hint: any value is accepted, and what is none is dropped. */
const Thrown = Schema.Struct({ ...ThrownValue.fields, missingGrants: Schema.optionalKey(Schema.Unknown) })
const decodeThrown = Schema.decodeEffect(Schema.fromJsonString(Thrown))

/** The output's JSON, not validated yet. Fails with how the plugin failed. */
export const decodeRunReply = (spec: PluginSpec, reply: GuestReply): Effect.Effect<string, PluginError> => {
  switch (reply.type) {
    case ReplyType.output:
      return Effect.succeed(reply.body)
    case ReplyType.thrown:
      return Effect.matchEffect(decodeThrown(reply.body), {
        onFailure: () => Effect.fail(brokenReply(spec)),
        onSuccess: (thrown) => {
          const missingGrants = reportedGrants(thrown.missingGrants)
          return Effect.fail(
            new ExecutionError({
              plugin: spec.name,
              cause: printableThrown(thrown),
              ...(missingGrants === undefined ? {} : { missingGrants })
            })
          )
        }
      })
    case ReplyType.uncrossable:
      return Effect.matchEffect(decodeText(reply.body), {
        onFailure: () => Effect.fail(brokenReply(spec)),
        onSuccess: (issue) => Effect.fail(new InvalidOutput({ plugin: spec.name, issue: lineText(issue) }))
      })
    default:
      return Effect.fail(brokenReply(spec))
  }
}
