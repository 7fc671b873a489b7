/** `agentlip`: the root command. The folders in `commands/` follow the tree of commands. */
import { Command } from "effect/cli"
import { attachment } from "./attachment/attachment.ts"
import { backfill } from "./backfill.ts"
import { backup } from "./backup.ts"
import { channel } from "./channel/channel.ts"
import { doctor } from "./doctor/doctor.ts"
import { down } from "./down.ts"
import { globals } from "../flags/Globals.ts"
import { init } from "./init.ts"
import { job } from "./job/job.ts"
import { listen } from "./listen.ts"
import { msg } from "./msg/msg.ts"
import { plugin } from "./plugin/plugin.ts"
import { restore } from "./restore.ts"
import { status } from "./status.ts"
import { topic } from "./topic/topic.ts"
import { up } from "./up.ts"

export const agentlip = Command.make("agentlip").pipe(
  Command.withDescription("Run a hub for messages of people and agents, and the plugins that read them"),
  Command.withSubcommands([
    init,
    up,
    down,
    status,
    doctor,
    channel,
    topic,
    msg,
    attachment,
    listen,
    plugin,
    job,
    backfill,
    backup,
    restore
  ]),
  Command.withGlobalFlags(globals),
  Command.withExamples([
    { command: "agentlip init && agentlip up", description: "Start a hub in a new workspace" },
    {
      command: "agentlip msg send general/hello 'Hello' --create",
      description: "Post to it from another terminal"
    },
    { command: "agentlip listen", description: "Follow what happens" }
  ])
)
