/** Why a command did not do what it was to do, for whoever typed it: a text without a stack. */
import { Effect, Runtime, Schema } from "effect"
import { CliError } from "effect/cli"
import { WorkspaceLocked } from "../workspace/WriterLock.ts"

/** What a command's exit code says. Interrupted commands end with 130, as shells have it. */
export const exitCodes = {
  error: 1,
  conflict: 2,
  notRunning: 3,
  notAuthorised: 4,
  // What Agentlip v1 used; its clients retry on it.
  workspaceLocked: 10
} as const

export class CommandError extends Schema.TaggedError<CommandError>("@agentlip/hub/CommandError")(
  "CommandError",
  {
    /** What happened, and what to do about it. */
    reason: Schema.String,
    /** For programs, such as `VERSION_CONFLICT`. */
    code: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("ERROR"))),
    exitCode: Schema.Literals(Object.values(exitCodes)).pipe(
      Schema.withConstructorDefault(Effect.succeed(exitCodes.error))
    ),
    details: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
  }
) {
  override get message(): string {
    return this.reason
  }
  override get [CliError.userMessage](): string {
    return this.reason
  }
  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}

/** Of an error of the hub's or of the library's, without its stack. */
export const fromError = (error: Error): CommandError =>
  error instanceof CommandError
    ? error
    : error instanceof WorkspaceLocked
      ? new CommandError({
          reason: error.message,
          code: "WORKSPACE_LOCKED",
          exitCode: exitCodes.workspaceLocked
        })
      : new CommandError({
          reason: error.message || (error.cause instanceof Error ? error.cause.message : error.name)
        })
