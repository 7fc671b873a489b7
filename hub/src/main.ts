#!/usr/bin/env -S node --conditions=@agentlip/source
/** Where the command line starts; `agentlip --help` tells what it can do, and cli/ holds it. */
// First of all, or schemas that are made before are not compiled.
import "effect/schema/SchemaJITCompiler/enable"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { agentlip } from "./cli/Agentlip.ts"

agentlip.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
