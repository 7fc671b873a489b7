/** A plugin of the running hub, by its name in the config file. */
import { Argument, Flag } from "effect/cli"

export const pluginNameArgument = Argument.String("NAME").pipe(
  Argument.withDescription("The plugin's name in the config file")
)

/** `all`: what the command is about without the flag. */
export const pluginFlag = (description: string, all: string) =>
  Flag.String("plugin").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(`${description}. Default: ${all}`),
    Flag.optional
  )
