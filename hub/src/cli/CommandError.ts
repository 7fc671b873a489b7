/** The error of a command: a text without a stack, a code for programs, and an exit code. */
import { Effect, Runtime, Schema } from "effect"
import { CliError } from "effect/cli"
import * as path from "node:path"
import type { DatabaseUnusable } from "../database/DatabaseFile.ts"
import { commandFor } from "./calledAs.ts"

/** The exit codes of all commands. An interrupted command exits with 130, as shells expect. */
export const exitCodes = {
  error: 1,
  conflict: 2,
  notRunning: 3,
  notAuthorised: 4,
  // Agentlip v1 used this code, and its clients retry on it.
  workspaceLocked: 10
} as const

/** Maps error codes to exit codes. Every other code exits with 1. */
export const exitCodeByCode: { readonly [code: string]: (typeof exitCodes)[keyof typeof exitCodes] } = {
  VERSION_CONFLICT: exitCodes.conflict,
  HUB_NOT_RUNNING: exitCodes.notRunning,
  NOT_THE_HUB: exitCodes.notRunning,
  MISSING_AUTH: exitCodes.notAuthorised,
  INVALID_AUTH: exitCodes.notAuthorised,
  WORKSPACE_LOCKED: exitCodes.workspaceLocked
}

export class CommandError extends Schema.TaggedError<CommandError>("@agentlip/hub/CommandError")(
  "CommandError",
  {
    /** What happened, and what to do next. */
    reason: Schema.String,
    /** A code for programs, such as `VERSION_CONFLICT`. It decides the exit code. */
    code: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("ERROR"))),
    details: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
  }
) {
  get exitCode(): number {
    return exitCodeByCode[this.code] ?? exitCodes.error
  }
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

/** The code for each error of the hub or the library, by its tag. */
const codeByTag: { readonly [tag: string]: string } = {
  WorkspaceLocked: "WORKSPACE_LOCKED",
  Untrusted: "UNTRUSTED",
  ConfigError: "CONFIG_ERROR",
  HostRefused: "INVALID_INPUT",
  DatabaseUnusable: "DATABASE_UNUSABLE",
  ServerUnusable: "DATABASE_UNUSABLE",
  PortRefused: "INVALID_INPUT",
  OriginRefused: "INVALID_INPUT",
  ServeError: "PORT_UNAVAILABLE"
}

/** Explains why the server could not use the port. */
const portReason = ({ message }: Error): string => {
  const why = message.includes("EADDRINUSE")
    ? "another process uses the port"
    : message.includes("EACCES")
      ? "this user may not use the port"
      : message
  return `The hub cannot listen: ${why}. Pass another --port, or 0 for a free one`
}

/** Whether the error advises commands. Its class is not loaded for that: most commands have no database. */
const advises = (error: Error): error is DatabaseUnusable =>
  "_tag" in error && error._tag === ("DatabaseUnusable" satisfies DatabaseUnusable["_tag"])

/** The message of an error. A command that it advises is for the workspace of the database. */
const textOf = (error: Error): string =>
  advises(error)
    ? error.explain((command) => commandFor(path.resolve(error.file, "../.."), command))
    : error.message

/** Converts an error of the hub or the library, without its stack. */
export const fromError = (error: Error): CommandError => {
  if (error instanceof CommandError) return error
  const tag = "_tag" in error && typeof error._tag === "string" ? error._tag : ""
  const { cause } = error
  const inner = cause instanceof Error ? cause : undefined
  const text = textOf(error) || inner?.message || error.name
  const reason = tag === "ServeError" ? portReason(inner ?? error) : text
  return new CommandError({ reason, code: codeByTag[tag] ?? "ERROR" })
}
