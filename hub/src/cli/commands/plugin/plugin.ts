/** `agentlip plugin`: what there is to know of a plugin. */
import { printableLine } from "@agentlip/plugin-runtime/text"
import { moduleIntegrity } from "@agentlip/plugin-runtime"
import { Console, Effect, Result } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandError } from "../../CommandError.ts"
import { pluginCheck } from "./check.ts"
import { pluginList, pluginReset, pluginTrip } from "./circuit.ts"
import { pluginNew } from "./new.ts"
import { pluginRun } from "./run.ts"

const integrity = Command.make(
  "integrity",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("The module of a plugin, as its modulePath names it"),
      Argument.variadic({ min: 1 })
    )
  },
  Effect.fnUntraced(function* ({ files }) {
    const problems: Array<string> = []
    for (const file of files) {
      const hashed = yield* Effect.result(moduleIntegrity(file))
      if (Result.isSuccess(hashed)) yield* Console.log(`${hashed.success}  ${printableLine(file)}`)
      else problems.push(`${file}: ${hashed.failure.reason}`)
    }
    if (problems.length > 0) return yield* new CommandError({ reason: problems.join("\n") })
  })
).pipe(
  Command.withDescription("Print what a plugin's `integrity` is to be, so that no other modules are run")
)

export const plugin = Command.make("plugin").pipe(
  Command.withDescription("What there is to know of a plugin"),
  Command.withSubcommands([pluginNew, pluginRun, pluginCheck, integrity, pluginList, pluginTrip, pluginReset])
)
