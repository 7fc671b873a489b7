/** Output that does not end, a line at a time. */
import { Effect, type PlatformError, Stdio, Stream } from "effect"
import { CommandError } from "../CommandError.ts"

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

/** Whether who read has enough, as `head` has. */
const isClosed = ({ reason }: PlatformError.PlatformError): boolean =>
  ["EPIPE", "ERR_STREAM_DESTROYED"].includes(String(codeOf(reason.cause)))

/** Writes every line as it comes, no faster than they are read; ends well when nobody reads any more. */
export const writeLines = <R>(lines: Stream.Stream<string, CommandError, R>) =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    yield* Stream.run(
      Stream.map(lines, (text) => `${text}\n`),
      stdio.stdout()
    )
  }).pipe(
    Effect.catchTag("PlatformError", (error) =>
      isClosed(error)
        ? Effect.void
        : Effect.fail(new CommandError({ reason: `The output cannot be written: ${error.message}` }))
    )
  )
