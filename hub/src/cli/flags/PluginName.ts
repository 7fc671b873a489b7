/** Names a plugin of the running hub, as in the config file. */
import { Argument, Flag } from "effect/cli"

export const pluginNameArgument = Argument.String("NAME").pipe(
  Argument.withDescription("The plugin's name in the config file")
)

/** `all` is the help text for the default: what the command covers without the flag. */
export const pluginFlag = (description: string, all: string) =>
  Flag.String("plugin").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(`${description}. Default: ${all}`),
    Flag.optional
  )
