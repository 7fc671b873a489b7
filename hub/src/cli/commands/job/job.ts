/** `agentlip job`: what plugins have not done, or not managed. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { type Derivation, DerivationState } from "@agentlip/protocol"
import { connect } from "../../hub/HubClient.ts"
import { show, table } from "../../render/Output.ts"

const pluginFlag = Flag.String("plugin").pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription("Only jobs of this plugin"),
  Flag.optional
)

const rowOf = ({ message_id, content_version, plugin_name, state, error, created_at }: Derivation) => [
  created_at,
  message_id,
  content_version,
  plugin_name,
  state,
  error === null ? null : `${error.code}: ${error.message}`
]

const list = Command.make(
  "list",
  {
    states: Flag.Literals("state", DerivationState.literals).pipe(
      Flag.withDescription(
        "Of this state; may be given more than once. Default: pending, waiting and failed"
      ),
      Flag.atLeast(0)
    ),
    plugin: pluginFlag,
    limit: Flag.Int("limit").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("How many at most, 1 to 1000"),
      Flag.withDefault(50)
    ),
    before: Flag.String("before").pipe(
      Flag.withDescription("Go on after the last page, with the `next` that it ended with"),
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
      ...(found.next === null ? [] : [`There are more: --before ${found.next}`])
    ])
  })
).pipe(Command.withDescription("List jobs, those of the newest messages first"))

const retry = Command.make(
  "retry",
  {
    plugin: pluginFlag,
    message: Flag.String("message").pipe(
      Flag.withMetavar("ID"),
      Flag.withDescription("Only jobs of this message"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ plugin, message }) {
    const hub = yield* connect
    const answer = yield* hub.ask((api) =>
      api.operations.retry({
        payload: {
          ...(Option.isSome(plugin) ? { plugin: plugin.value } : {}),
          ...(Option.isSome(message) ? { message_id: message.value } : {})
        }
      })
    )
    yield* show(answer, () => [
      `${answer.retried} failed jobs are done again.`,
      ...(answer.more ? ["There are more: say it again when these are done."] : [])
    ])
  })
).pipe(Command.withDescription("Have failed jobs done again whose message is still what it was"))

export const job = Command.make("job").pipe(
  Command.withDescription("What plugins have not done, or not managed"),
  Command.withSubcommands([list, retry])
)
