/** Live events of the hub, for commands. No event is lost when the hub restarts. */
import type { Subscriptions } from "@agentlip/protocol"
import { Effect, Stream } from "effect"
import { Json } from "../flags/Globals.ts"
import type { HubClient } from "./HubClient.ts"

/** The number of the newest event. */
export const newest = ({ ask }: HubClient) =>
  Effect.map(
    ask((api) => api.reads.events({ query: { tail: 1 } })),
    ({ replay_until }) => replay_until
  )

/** Says on stderr that the hub has stopped, and that it is back. */
const makeNotes = (json: boolean, after: () => number) => {
  const note = (text: string): void => {
    if (!json) process.stderr.write(`agentlip: ${text}\n`)
  }
  let losses = 0
  return (state: "open" | "lost"): void => {
    if (state === "lost") losses++
    // A hub that only cut the connection is back at the first try.
    if (state === "lost" && losses === 2) note("the hub has stopped; waiting for it to start again")
    if (state === "open" && losses >= 2) note(`the hub is back; continuing after event ${after()}`)
    if (state === "open") losses = 0
  }
}

/** Every event after `after`, each once and in order; all events without `subscriptions`. */
export const follow = (hub: HubClient, after: number, subscriptions?: Subscriptions) =>
  Stream.unwrap(
    Effect.map(Json, (json) => {
      let last = after
      const onConnection = makeNotes(json, () => last)
      return Stream.tap(hub.follow({ after, onConnection, ...subscriptions }), ({ event_id }) =>
        Effect.sync(() => {
          last = event_id
        })
      )
    })
  )
