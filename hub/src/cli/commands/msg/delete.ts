/** `agentlip msg delete` */
import type { Erasure } from "@agentlip/protocol"
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { expectedVersion, personFlag, personOf, versionOf } from "../../flags/Given.ts"
import { messageArgument } from "../../flags/Names.ts"
import { connect, type HubClient } from "../../hub/HubClient.ts"
import { counted } from "../../render/counted.ts"
import { show } from "../../render/Output.ts"

const lookEvery = "100 millis"

/** Waits until no event has the text any more. */
const follow = ({ ask }: HubClient, begun: Erasure) =>
  Effect.gen(function* () {
    let erasure = begun
    while (erasure.state === "running") {
      yield* Effect.sleep(lookEvery)
      const answer = yield* ask((api) => api.operationReads.erasure({ params: { id: erasure.message_id } }))
      erasure = answer.erasure
    }
    return erasure
  }).pipe(Effect.onInterrupt(() => Console.error("The hub goes on erasing it.")))

const erasedText = ({ message_id, events }: Erasure): string =>
  `${message_id}: erased from ${counted(events, "event")}. Backups and other copies of the database ` +
  'still have it; see docs/operations.md, "What erasing removes"'

export const msgDelete = Command.make(
  "delete",
  {
    message: messageArgument,
    actor: personFlag("actor", "Who deletes it"),
    expectedVersion,
    erase: Flag.Boolean("erase").pipe(
      Flag.withDescription(
        "Also remove its text from the event log, and wait until that is done. Works on a deleted message too"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ message, actor, expectedVersion, erase }) {
    const hub = yield* connect
    const payload = {
      op: "delete" as const,
      actor: yield* personOf(actor, "actor"),
      ...versionOf(expectedVersion),
      ...(erase ? { erase } : {})
    }
    const answer = yield* hub.ask((api) => api.writes.changeMessage({ params: { id: message }, payload }))
    if (!("erasure" in answer) || answer.erasure === undefined) {
      return yield* show({ ...answer, deleted: true }, () => message)
    }
    const erasure = yield* follow(hub, answer.erasure)
    yield* show({ ...answer, erasure, deleted: true }, () => erasedText(erasure))
  })
).pipe(
  Command.withDescription(
    "Delete a message: removes its text and findings. The event log keeps what it said, unless --erase is passed, and so do backups; see " +
      'docs/operations.md, "What a deletion removes"'
  ),
  Command.withExamples([
    { command: "agentlip msg delete 019a3f2b7c4d00001 --actor ada" },
    {
      command: "agentlip msg delete 019a3f2b7c4d00001 --erase",
      description: "Remove its text from the event log too"
    }
  ])
)
