#!/usr/bin/env -S node --conditions=@agentlip/source
/** The entry point of the command line. The commands are in cli/. */
// Must be the first import: only schemas that are created after it are compiled.
import "effect/schema/SchemaJITCompiler/enable"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { agentlip } from "./cli/commands/agentlip.ts"
import * as Errors from "./cli/render/Errors.ts"
import * as Stop from "./cli/Stop.ts"

// A reader such as `head` may close the pipe early. Commands that run for long check for that themselves.
for (const output of [process.stdout, process.stderr]) {
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
  })
}

Stop.watchSignals()

agentlip.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.provide([NodeServices.layer, Errors.layer(Errors.wantsJson(process.argv.slice(2)))]),
  NodeRuntime.runMain({ teardown: Stop.teardown })
)
