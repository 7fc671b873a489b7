#!/usr/bin/env -S node --conditions=@agentlip/source
/** The entry point of the command line. The commands are in cli/. */
import "effect/schema/SchemaJITCompiler/enable"

// Only schemas that are created after the line above are compiled, so everything else loads now.
const { run } = await import("./cli/run.ts")
run(process.argv.slice(2))
