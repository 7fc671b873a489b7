#!/usr/bin/env -S node --conditions=@agentlip/source
/** Where the command line starts; `agentlip --help` tells what it can do, and cli/ holds it. */
// First of all, or schemas that are made before are not compiled.
import "effect/schema/SchemaJITCompiler/enable"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { agentlip } from "./cli/commands/agentlip.ts"
import * as Errors from "./cli/render/Errors.ts"
import * as Stop from "./cli/Stop.ts"

// Who reads may leave before all is said, as `head` does; commands that go on until then look for themselves.
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
