/** An output as the JSON that crosses, or why it cannot. */
import { describeReason } from "./describe.ts"
import { stringify } from "./intrinsics.ts"
import { findLoss, lossIn } from "./jsonLosses.ts"

/** `problem` is `undefined` for an output that can cross; `text` is its JSON then. */
export interface Written {
  readonly text: unknown
  readonly problem: string | undefined
}

/** Why an output is no JSON, where that is for a value in it. */
const lossOf = (output: unknown): string | undefined => {
  try {
    return findLoss(output)
  } catch {
    // A getter throws: that is why.
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
