/** How a command reports an error: one line on stderr, or one JSON document. */
import { Console, Effect, Layer } from "effect"
import { type CliError, CliOutput } from "effect/cli"
import { CommandError } from "../CommandError.ts"
import { indented, jsonText, Printed } from "./Output.ts"

/** Looks for --json directly, because it is needed even if the arguments cannot be parsed. */
export const wantsJson = (args: ReadonlyArray<string>): boolean => {
  const end = args.indexOf("--")
  return (end === -1 ? args : args.slice(0, end)).includes("--json")
}

/** The parser's messages have several paragraphs. */
const onOneLine = (message: string): string =>
  message
    .replaceAll(/\s*\n\s*/g, ". ")
    .replaceAll("?. ", "? ")
    .trim()

const usage = (errors: ReadonlyArray<CliError.CliError>, commandPath: ReadonlyArray<string>): CommandError =>
  new CommandError({
    reason: [...errors.map(({ message }) => onOneLine(message)), `See ${commandPath.join(" ")} --help`].join(
      ". "
    ),
    code: "USAGE"
  })

/** The document of an error. A report with problems has these fields too. */
export const documentOf = ({ reason, code, details }: CommandError) => ({
  status: "error",
  error: reason,
  code,
  ...(details === undefined ? {} : { details })
})

/** The text for stderr. */
export const errorText =
  (json: boolean) =>
  (error: CommandError): string =>
    json ? jsonText(documentOf(error)) : `agentlip: ${indented(error.reason, "  ")}`

/** Prints the JSON document of an error on stdout too, unless there is one already. Scripts for Agentlip v1 read it there. */
const alsoOnStdout = Effect.fnUntraced(function* (error: CommandError) {
  if (!(yield* Printed).document) yield* Console.log(jsonText(documentOf(error)))
})

/** Prints the errors of commands on stdout too; `layer` does it for mistakes in arguments. */
export const onStdout = <A, E, R>(run: Effect.Effect<A, E, R>) =>
  Effect.tapError(run, (error) => (error instanceof CommandError ? alsoOnStdout(error) : Effect.void))

/** Replaces Effect's own output, which prints the whole help on stdout for every mistake. */
export const layer = (json: boolean): Layer.Layer<never> => {
  const text = errorText(json)
  const formatter = CliOutput.defaultFormatter({ colors: !json && process.stdout.isTTY })
  const formatError = (error: CliError.CliError): string => {
    const cause = error._tag === "UserError" ? error.cause : error
    return text(cause instanceof CommandError ? cause : new CommandError({ reason: error.message }))
  }
  const invalid = (error: CommandError) => Effect.andThen(Console.error(text(error)), alsoOnStdout(error))
  const present: CliOutput.Presenter["present"] = (event) =>
    event._tag === "InvalidInvocation"
      ? invalid(usage(event.errors, event.commandPath))
      : Effect.provide(CliOutput.defaultPresenter.present(event), CliOutput.layer(formatter))
  return Layer.merge(CliOutput.layer({ ...formatter, formatError }), CliOutput.layerPresenter({ present }))
}
