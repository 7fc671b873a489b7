/** `agentlip channel list` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { channelsOf } from "../../flags/Names.ts"
import { connect } from "../../hub/HubClient.ts"
import { show, table } from "../../render/Output.ts"

export const channelList = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const channels = yield* channelsOf(yield* connect)
    yield* show({ channels, count: channels.length }, () =>
      table(
        ["ID", "NAME", "CREATED", "DESCRIPTION"],
        channels.map(({ id, name, created_at, description }) => [id, name, created_at, description])
      )
    )
  })
).pipe(
  Command.withDescription("List all channels"),
  Command.withExamples([{ command: "agentlip channel list --json" }])
)
