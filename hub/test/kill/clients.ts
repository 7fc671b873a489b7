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

const request = (change: Change): readonly ["POST" | "PATCH", string, object] => {
  switch (change.kind) {
    case "post":
      return [
        "POST",
        "/api/v1/messages",
        { topic_id: change.topic, sender: "ana", content_raw: change.text.content }
      ]
    case "edit":
      return ["PATCH", `/api/v1/messages/${change.message}`, { op: "edit", content_raw: change.text.content }]
    case "delete":
      return ["PATCH", `/api/v1/messages/${change.message}`, { op: "delete", actor: change.actor }]
  }
}

const send = ({ api }: Running, { number, change, keyed }: Operation): Effect.Effect<Answer> =>
  api.request(...request(change), keyed ? { headers: { "idempotency-key": `op${number}` } } : {})

const note = (ledger: Ledger, operation: Operation, { status, body, headers }: Answer): void => {
  if (headers.has("idempotency-replayed")) ledger.replayed++
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

/**
 * One client; it changes its own messages only, one operation at a time, so that their order is known. One that is
 * `keyed` sends what was not answered again, with its `Idempotency-Key`, until it is; another goes on.
 */
export const client = Effect.fnUntraced(function* (
  target: Target,
  ledger: Ledger,
  plan: Plan,
  keyed: boolean
) {
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

  const deliver = (operation: Operation): Effect.Effect<Exit.Exit<Answer>> =>
    Effect.gen(function* () {
      const hub = yield* current(target)
      operation.sent++
      const answer = yield* Effect.exit(send(hub, operation))
      return keyed && Exit.isFailure(answer) ? yield* deliver(operation) : answer
    })

  while (ledger.acknowledged < plan.operations) {
    const number = ledger.begun++
    const change: Change = yield* choose(number)
    const operation: Operation = { number, change, keyed, sent: 0, outcome: "unknown" }
    ledger.operations.push(operation)
    const answer = yield* deliver(operation)
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
