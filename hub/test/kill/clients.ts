/** Clients that post, edit and delete at the same time, and note what they were told. */
import { Effect, Exit, Latch, Random } from "effect"
import type { Running } from "../killableHub.ts"
import type { Answer } from "../testHub.ts"
import type { Change, Ledger, Operation } from "./Ledger.ts"
import { makeText } from "./texts.ts"

/** Where the hub is now; clients wait while there is none. */
export interface Target {
  readonly up: Latch.Latch
  hub: Running | undefined
}

export const makeTarget = (): Target => ({ up: Latch.makeUnsafe(false), hub: undefined })

export const current = (target: Target): Effect.Effect<Running> =>
  Effect.flatMap(target.up.await, () =>
    target.hub === undefined ? Effect.suspend(() => current(target)) : Effect.succeed(target.hub)
  )

const send = ({ api }: Running, change: Change): Effect.Effect<Answer> => {
  switch (change.kind) {
    case "post":
      return api.post("/api/v1/messages", {
        topic_id: change.topic,
        sender: "ana",
        content_raw: change.text.content
      })
    case "edit":
      return api.patch(`/api/v1/messages/${change.message}`, {
        op: "edit",
        content_raw: change.text.content
      })
    case "delete":
      return api.patch(`/api/v1/messages/${change.message}`, { op: "delete", actor: change.actor })
  }
}

const note = (ledger: Ledger, operation: Operation, { status, body }: Answer): void => {
  if (status === 200 || status === 201) {
    const { message, event_id } = body
    // A delete whose first answer was lost and that happened all the same.
    if (event_id === null) return void (operation.outcome = "refused")
    ledger.acknowledged++
    operation.outcome = {
      acknowledged: {
        message: message.id,
        content: message.content_raw,
        version: message.version,
        deleted: message.deleted_at !== null,
        event_id
      }
    }
  } else if (status === 400 && body.code === "INVALID_INPUT" && operation.change.kind === "edit") {
    operation.outcome = "refused"
  } else {
    ledger.unexpected.push(`operation ${operation.number} was answered ${status} ${JSON.stringify(body)}`)
  }
}

export interface Plan {
  readonly topics: ReadonlyArray<string>
  /** How many operations are to be acknowledged in all. */
  readonly operations: number
  /** Each client rests for a random time up to so many milliseconds between its operations. */
  readonly rest: number
}

/** One client; it changes its own messages only, one operation at a time, so that their order is known. */
export const client = Effect.fnUntraced(function* (target: Target, ledger: Ledger, plan: Plan) {
  const mine: Array<string> = []

  const choose = Effect.fnUntraced(function* (number: number) {
    const what = yield* Random.next
    const message = mine[Math.floor((yield* Random.next) * mine.length)]
    if (message === undefined || what < 0.5) {
      const topic = yield* Effect.orDie(Random.choice(plan.topics))
      return { kind: "post", topic, text: yield* makeText(number) } satisfies Change
    }
    return what < 0.85
      ? ({ kind: "edit", message, text: yield* makeText(number) } satisfies Change)
      : ({ kind: "delete", message, actor: `op${number}` } satisfies Change)
  })

  while (ledger.acknowledged < plan.operations) {
    const number = ledger.begun++
    const change: Change = yield* choose(number)
    const hub = yield* current(target)
    const operation: Operation = { number, change, outcome: "unknown" }
    ledger.operations.push(operation)
    const answer = yield* Effect.exit(send(hub, change))
    if (Exit.isSuccess(answer)) note(ledger, operation, answer.value)
    const { outcome } = operation
    if (change.kind === "post") {
      if (typeof outcome === "object") mine.push(outcome.acknowledged.message)
    } else if (outcome === "refused" || (change.kind === "delete" && outcome !== "unknown")) {
      mine.splice(mine.indexOf(change.message), 1)
    }
    yield* Effect.sleep(plan.rest * (yield* Random.next))
  }
})
