/** `agentlip channel list` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { channelsOf } from "../../flags/Names.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { reader } from "../../hub/reader.ts"
import { show, table } from "../../render/Output.ts"

export const channelList = Command.make("list", readFlags, (options) =>
  Effect.gen(function* () {
    const channels = yield* channelsOf(yield* reader(options))
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
