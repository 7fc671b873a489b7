/** Runs the command of a process, and ends the process with the command's exit code. */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import * as fs from "node:fs"
import { commandLine } from "./commandLine.ts"
import * as Stop from "./Stop.ts"

/** Whether stdout and stderr are the same, as in a terminal or after `2>&1`. */
const isOneOutput = (): boolean => {
  const [out, err] = [1, 2].map((descriptor) => fs.fstatSync(descriptor))
  return out?.dev === err?.dev && out?.ino === err?.ino
}

export const run = (args: ReadonlyArray<string>): void => {
  // A reader such as `head` may close the pipe early. Commands that run for long check for that themselves.
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error
    })
  }
  commandLine(args, { oneOutput: isOneOutput() }).pipe(Effect.provide(NodeServices.layer), Stop.runMain())
}
