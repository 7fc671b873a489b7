/** `agentlip`: the root command. The folders in `commands/` follow the tree of commands. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { attachment } from "./attachment/attachment.ts"
import { backfill } from "./backfill.ts"
import { backup } from "./backup.ts"
import { channel } from "./channel/channel.ts"
import { down } from "./down.ts"
import { globals } from "../flags/Globals.ts"
import { init } from "./init/init.ts"
import { job } from "./job/job.ts"
import { listen } from "./listen.ts"
import { msg } from "./msg/msg.ts"
import { open } from "./open.ts"
import { restore } from "./restore.ts"
import { search } from "./search.ts"
import { status } from "./status.ts"
import { topic } from "./topic/topic.ts"

/** In the order of the help. Those that need the hub or the library, which are large, load when they are called. */
const commands = {
  init: () => init,
  up: async () => (await import("./up.ts")).up,
  down: () => down,
  status: () => status,
  open: () => open,
  doctor: async () => (await import("./doctor/doctor.ts")).doctor,
  channel: () => channel,
  topic: () => topic,
  msg: () => msg,
  attachment: () => attachment,
  search: () => search,
  listen: () => listen,
  plugin: async () => (await import("./plugin/plugin.ts")).plugin,
  job: () => job,
  backfill: () => backfill,
  prune: async () => (await import("./prune.ts")).prune,
  backup: () => backup,
  restore: () => restore
}

/** Not in the help. */
const hidden = {
  agentlipd: async () => (await import("./agentlipd/agentlipd.ts")).agentlipd
}

const all = { ...commands, ...hidden }
type Name = keyof typeof all
const isName = (word: string): word is Name => Object.hasOwn(all, word)

/**
 * The root command for these arguments. If they start with the name of a command, it has only that one; otherwise it
 * has all, for the help, for suggestions and for flags that come first.
 */
export const agentlipFor = ([first = ""]: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const names = isName(first) ? [first] : Object.keys(commands).filter(isName)
    return Command.make("agentlip").pipe(
      Command.withDescription("Run a hub for messages of people and agents, and the plugins that read them"),
      Command.withSubcommands(await Promise.all(names.map((name) => all[name]()))),
      Command.withGlobalFlags(globals),
      Command.withExamples([
        { command: "agentlip init && agentlip up", description: "Start a hub in a new workspace" },
        {
          command: "agentlip msg send general/hello 'Hello' --create",
          description: "Post to it from another terminal"
        },
        { command: "agentlip listen --since now", description: "Follow what happens" }
      ])
    )
  })
