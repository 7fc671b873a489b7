/** `agentlip job list` */
import { type Job, JobState } from "@agentlip/protocol"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { limitFlag } from "../../flags/Page.ts"
import { pluginFlag } from "../../flags/PluginName.ts"
import { connect } from "../../hub/HubClient.ts"
import { show, table } from "../../render/Output.ts"

const rowOf = ({ message_id, content_version, plugin_name, state, error, created_at }: Job) => [
  created_at,
  message_id,
  content_version,
  plugin_name,
  state,
  error === null ? null : `${error.code}: ${error.message}`
]

export const jobList = Command.make(
  "list",
  {
    states: Flag.Literals("state", JobState.literals).pipe(
      Flag.withDescription("Only jobs in this state; may be repeated. Default: pending, waiting and failed"),
      Flag.atLeast(0)
    ),
    plugin: pluginFlag("Only jobs of this plugin", "all plugins"),
    limit: limitFlag(50),
    before: Flag.String("before").pipe(
      Flag.withMetavar("NEXT"),
      Flag.withDescription("Continue after a page, with the `next` that it ended with"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ states, plugin, limit, before }) {
    const hub = yield* connect
    const found = yield* hub.ask((api) =>
      api.operationReads.jobs({
        query: {
          limit,
          state: states.length === 0 ? undefined : states,
          plugin: Option.getOrUndefined(plugin),
          before: Option.getOrUndefined(before)
        }
      })
    )
    yield* show(found, () => [
      ...(found.jobs.length === 0
        ? ["There are no such jobs."]
        : table(["SINCE", "MESSAGE", "CONTENT", "PLUGIN", "STATE", "WHY"], found.jobs.map(rowOf))),
      ...(found.next === null ? [] : [`… more with --before ${found.next}`])
    ])
  })
).pipe(
  Command.withDescription("List jobs, the newest messages first"),
  Command.withExamples([{ command: "agentlip job list --state failed --plugin hashtags" }])
)
