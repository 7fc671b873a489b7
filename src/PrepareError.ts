/**
 * How preparing fails. Each step that prepares a spec, a level or a plugin on this host (settings, grants, capabilities,
 * Node, sandbox, modules) fails with a `PrepareError`. A step that only computes returns a `Result`; a step that looks
 * at the machine is an Effect. For callers the error becomes a `LOAD_ERROR`.
 */
import { Data, Result } from "effect"
import type { Grants } from "./Grants.ts"

export class PrepareError extends Data.TaggedError("PrepareError")<{
  /** What is wrong. */
  readonly reason: string
  /** What to do. Absent if `reason` says it. */
  readonly remedy?: string
  /** Capabilities that the plugin declares without a grant. */
  readonly missingGrants?: Grants
  /** Whether the runtime was closed: not the plugin's fault. */
  readonly isClosed?: boolean
}> {
  override get message(): string {
    return this.remedy === undefined ? this.reason : `${this.reason}; ${this.remedy}`
  }
}

/** Makes the error from what is wrong and what to do. */
export const unprepared = (reason: string, remedy?: string): PrepareError =>
  new PrepareError(remedy === undefined ? { reason } : { reason, remedy })

type Values<Results extends ReadonlyArray<Result.Result<unknown, PrepareError>>> = {
  readonly [At in keyof Results]: Result.Result.Success<Results[At]>
}

/** All values. Fails with the messages of all failures at once. */
export const allPrepared = <const Results extends ReadonlyArray<Result.Result<unknown, PrepareError>>>(
  results: Results
): Result.Result<Values<Results>, PrepareError> => {
  const problems = results.flatMap((result) => (Result.isFailure(result) ? [result.failure.message] : []))
  // Without a problem, each result is a value.
  const values = Result.all(results) as Result.Result<Values<Results>, PrepareError>
  return problems.length === 0 ? values : Result.fail(unprepared(problems.join("; ")))
}
