/** The log against what clients were answered and what followers were told. */
import { isDeepStrictEqual } from "node:util"
import type { Database } from "./Database.ts"
import type { Follower } from "./followers.ts"
import type { Ledger } from "./Ledger.ts"
import { claims, type Verdict } from "./verifyLog.ts"

/** Each acknowledged operation has the event that it was answered, each refused one has none. */
export const verifyAnswers = (ledger: Ledger, { told, happened }: Verdict): ReadonlyArray<string> => {
  const violations: Array<string> = []
  const numbers = new Map<number, number>()
  for (const { number, outcome, change, keyed } of ledger.operations) {
    const event = happened.get(number)
    if (keyed && typeof outcome !== "object") violations.push(`operation ${number} has a key and no answer`)
    if (outcome === "unknown") continue
    if (outcome === "refused") {
      if (event !== undefined) violations.push(`operation ${number} was refused and happened`)
      if ("message" in change && told.get(change.message)?.deleted === false) {
        violations.push(`operation ${number} was refused, and its message is not deleted`)
      }
      continue
    }
    const { acknowledged } = outcome
    const other = numbers.get(acknowledged.event_id)
    if (other !== undefined) {
      violations.push(`operations ${other} and ${number} were both answered event ${acknowledged.event_id}`)
    }
    numbers.set(acknowledged.event_id, number)
    if (event === undefined) violations.push(`operation ${number} was acknowledged and has no event`)
    else if (
      event.event_id !== acknowledged.event_id ||
      event.entity_id !== acknowledged.message ||
      claims(event).version !== acknowledged.version
    ) {
      violations.push(
        `operation ${number} was answered event ${acknowledged.event_id} and has ${event.event_id}`
      )
    }
  }
  return violations
}

/** A follower has seen the whole log, each event once and in order. */
export const verifyFollower = (
  { name, events, unexpected }: Follower,
  log: Database["events"]
): ReadonlyArray<string> => {
  const violations = [...unexpected]
  if (events.length !== log.length)
    violations.push(`${name}: ${events.length} of ${log.length} events were seen`)
  for (const [index, event] of events.entries()) {
    const written = log[index]
    const same =
      written !== undefined &&
      event.event_id === written.event_id &&
      event.name === written.name &&
      event.entity === written.entity_id &&
      isDeepStrictEqual(event.data, written.data)
    if (!same) {
      violations.push(
        `${name}: event ${event.event_id} is not what the log has in its place (${written?.event_id})`
      )
      break
    }
  }
  return violations
}
