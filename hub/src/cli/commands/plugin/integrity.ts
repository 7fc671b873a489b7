/** `agentlip plugin integrity` */
import { moduleIntegrity } from "@agentlip/plugin-runtime"
import { printableLine } from "@agentlip/plugin-runtime/text"
import { Console, Effect, Result } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandError } from "../../CommandError.ts"

export const pluginIntegrity = Command.make(
  "integrity",
  {
    files: Argument.String("FILE").pipe(
      Argument.withDescription("The module of a plugin, as modulePath in the config names it"),
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
  Command.withDescription("Print the `integrity` of a plugin, which pins its modules in the config file"),
  Command.withExamples([{ command: "agentlip plugin integrity plugins/hashtags.ts" }])
)
