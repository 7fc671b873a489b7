/** The flag --log-format and its loggers. */
import { printable } from "@agentlip/plugin-runtime/text"
import { Console, Effect, Layer, Logger } from "effect"
import { Flag } from "effect/cli"

const formats = ["text", "logfmt", "json"] as const
export type Format = (typeof formats)[number]

export const logFormat = Flag.Literals("log-format", formats).pipe(
  Flag.withDescription(
    "Print the log as text for people, or one line of logfmt or JSON per entry. Default: text"
  ),
  Flag.withDefault("text")
)

/** `text` keeps the current logger. */
export const layer = (format: Format): Layer.Layer<never> => {
  switch (format) {
    case "text":
      return Layer.empty
    case "logfmt":
      return Logger.layer([Logger.consoleLogFmt])
    case "json":
      return Logger.layer([Logger.consoleJson])
  }
}

/** JSON lines on stderr: stdout has the document of `--json`. */
export const besideDocument = Logger.layer([Logger.withConsoleError(Logger.formatJson)])

/** Prints lines for people with `text`; otherwise writes log entries for programs. */
export const say = (
  format: Format,
  lines: ReadonlyArray<string>,
  entries: ReadonlyArray<readonly [message: string, about: { readonly [key: string]: unknown }]>
): Effect.Effect<void> =>
  format === "text"
    ? Console.log(printable(lines.join("\n")))
    : Effect.forEach(entries, ([message, about]) => Effect.annotateLogs(Effect.logInfo(message), about), {
        discard: true
      })
