/** Writes an output as JSON, or says why it cannot be written. */
import { describeReason } from "./describe.ts"
import { stringify } from "./intrinsics.ts"
import { findLoss, lossIn } from "./jsonLosses.ts"

/** The JSON of an output in `text`, or the reason why it cannot cross in `problem`. */
export interface Written {
  readonly text: unknown
  readonly problem: string | undefined
}

/** The value in an output that prevents JSON, if one does. */
const lossOf = (output: unknown): string | undefined => {
  try {
    return findLoss(output)
  } catch {
    // A getter threw: the caller reports the error of `stringify`.
    return undefined
  }
}

export const written = (output: unknown, maxLength: number): Written => {
  let text: unknown
  let problem: string | undefined
  try {
    text = stringify(output)
    if (typeof text !== "string")
      problem = `expected JSON, got ${output === undefined ? "nothing (undefined)" : `a ${typeof output}`}`
    else if (text.length > maxLength) {
      problem = `expected at most ${maxLength} characters of JSON (limits.outputLength), got ${text.length}`
    } else problem = lossIn(output, text)
  } catch (thrown) {
    problem =
      lossOf(output) ??
      `expected a value that can be written as JSON, got one that cannot (${describeReason(thrown)})`
  }
  return { text, problem }
}
