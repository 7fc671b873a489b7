import { Effect, Schema } from "effect"
import { DatabaseUnusable } from "./DatabaseFile.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"

/** A database cannot be backed up or restored. Nothing was changed. */
export class BackupError extends Schema.TaggedError<BackupError>("@agentlip/hub/BackupError")("BackupError", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Runs a file operation. A failure becomes a `BackupError`, which names the file. */
export const attempt = <A>(file: string, run: () => A): Effect.Effect<A, BackupError> =>
  Effect.try({
    try: run,
    catch: (cause) =>
      cause instanceof BackupError
        ? cause
        : cause instanceof DatabaseUnusable
          ? new BackupError({ file: cause.file, reason: cause.reason })
          : new BackupError({
              file,
              reason: cause instanceof SafeFiles.UnsafeFile ? cause.reason : reasonOf(cause)
            })
  })
