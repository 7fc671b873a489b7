/** Prints endless output line by line. */
import { Effect, type PlatformError, Stdio, Stream } from "effect"
import { CommandError } from "../CommandError.ts"

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

/** True if the reader has closed the pipe, as `head` does. */
const isClosed = ({ reason }: PlatformError.PlatformError): boolean =>
  ["EPIPE", "ERR_STREAM_DESTROYED"].includes(String(codeOf(reason.cause)))

/** Writes each line as it arrives, no faster than the reader takes them. Succeeds when the reader closes the pipe. */
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
