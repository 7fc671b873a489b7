/** Runs one command: parses its arguments, runs it, and reports its error. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { agentlipFor } from "./commands/agentlip.ts"
import { Arguments } from "./up/Detach.ts"
import { KeepsNewline } from "./flags/Given.ts"
import * as Errors from "./render/Errors.ts"
import { Printed } from "./render/Output.ts"
import { fromV1 } from "./flags/fromV1.ts"
import { version } from "./version.ts"

/** `oneOutput`: stdout and stderr are the same terminal, file or pipe. */
export const commandLine = (given: ReadonlyArray<string>, options: { readonly oneOutput: boolean }) => {
  const { args, isV1 } = fromV1(given)
  const json = Errors.wantsJson(args)
  return Effect.flatMap(agentlipFor(args), (agentlip) => Command.runWith(agentlip, { version })(args)).pipe(
    Errors.onStdout,
    // A command that reads without a hub keeps the database open until it ends.
    Effect.scoped,
    Effect.provide(Errors.layer(json)),
    Effect.provideService(KeepsNewline, isV1),
    // The program `agentlipd` adds its name itself.
    Effect.provideService(Arguments, args[0] === "agentlipd" ? args.slice(1) : args),
    Effect.provideService(Printed, { document: !json || options.oneOutput })
  )
}
