/** Why a `fetch` failed, in words for the plugin's author and its operator. */
import { Data } from "effect"

export class FetchProblem extends Data.TaggedError("FetchProblem")<{
  readonly message: string
  /** The name of the error that the plugin gets. */
  readonly errorName: "TypeError" | "TimeoutError"
  /** The entry of `grants.net` that is missing. */
  readonly grant?: string
}> {}

export const problem = (message: string): FetchProblem =>
  new FetchProblem({ message, errorName: "TypeError" })

/** The problem with a target that only the grant `entry` would allow. */
export const ungranted = (what: string, entry: string): FetchProblem =>
  new FetchProblem({
    message: `${what}; grant it with grants.net: ["${entry}"]`,
    errorName: "TypeError",
    grant: entry
  })

/** Node's short code of an error, or its message. */
export const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error).slice(0, 200)
  const code: unknown = Reflect.get(error, "code")
  return typeof code === "string" ? code : error.message.slice(0, 200)
}
