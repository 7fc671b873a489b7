/** The command line as a whole; each group of commands is in a file of its own. */
import { Command } from "effect/cli"
import { attachment } from "./attachment/attachment.ts"
import { backfill } from "./backfill.ts"
import { backup, restore } from "./backup.ts"
import { channel } from "./channel/channel.ts"
import { doctor } from "./doctor/doctor.ts"
import { down } from "./down.ts"
import { globals } from "../flags/Globals.ts"
import { init } from "./init.ts"
import { job } from "./job/job.ts"
import { listen } from "./listen.ts"
import { msg } from "./msg/msg.ts"
import { plugin } from "./plugin/plugin.ts"
import { status } from "./status.ts"
import { topic } from "./topic/topic.ts"
import { up } from "./up.ts"

export const agentlip = Command.make("agentlip").pipe(
  Command.withDescription("A hub for messages, and the plugins that read them"),
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
  Command.withGlobalFlags(globals)
)
