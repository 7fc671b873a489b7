/** Runs the command of a process, and ends the process with the command's exit code. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { agentlipFor } from "./commands/agentlip.ts"
import * as Errors from "./render/Errors.ts"
import * as Stop from "./Stop.ts"
import { version } from "./version.ts"

export const run = (args: ReadonlyArray<string>): void => {
  // A reader such as `head` may close the pipe early. Commands that run for long check for that themselves.
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error
    })
  }
  Stop.watchSignals()
  agentlipFor(args).pipe(
    Effect.flatMap((agentlip) => Command.runWith(agentlip, { version })(args)),
    Effect.provide([NodeServices.layer, Errors.layer(Errors.wantsJson(args))]),
    NodeRuntime.runMain({ teardown: Stop.teardown })
  )
}
