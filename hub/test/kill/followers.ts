/** Readers that follow the events through every kill, each from where it had come to. */
import { NodeWS } from "@effect/platform-node"
import { Effect, Exit } from "effect"
import type { Running } from "../killableHub.ts"
import type { Json } from "../testHub.ts"
import { current, type Target } from "./clients.ts"

export interface Seen {
  readonly event_id: number
  readonly name: string
  readonly entity: string
  readonly data: Json
}

export interface Follower {
  readonly name: string
  readonly events: Array<Seen>
  connections: number
  /** What came twice or out of order. */
  readonly unexpected: Array<string>
}

const makeFollower = (name: string): Follower => ({ name, events: [], connections: 0, unexpected: [] })

const last = ({ events }: Follower): number => events.at(-1)?.event_id ?? 0

const take = (follower: Follower, { event_id, name, entity, ...event }: Json): void => {
  const before = last(follower)
  if (event_id <= before) follower.unexpected.push(`${follower.name}: event ${event_id} after ${before}`)
  follower.events.push({ event_id, name, entity: entity.id, data: event.data ?? event.data_json })
}

/** Until the socket ends, as it does with the hub. */
const listen = (follower: Follower, { url, token }: Running): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws?token=${token}`)
    ws.on("open", () => {
      follower.connections++
      ws.send(JSON.stringify({ type: "hello", after_event_id: last(follower) }))
    })
    ws.on("message", (data) => {
      const frame: Json = JSON.parse(String(data))
      if (frame.type === "event") take(follower, frame)
    })
    // A connection that fails is closed next.
    ws.on("error", () => {})
    ws.on("close", () => resume(Effect.void))
    return Effect.sync(() => ws.terminate())
  })

const poll = (follower: Follower, { api }: Running): Effect.Effect<void> =>
  Effect.gen(function* () {
    follower.connections++
    while (true) {
      const answer = yield* Effect.exit(api.get(`/api/v1/events?after=${last(follower)}&limit=200`))
      if (Exit.isFailure(answer)) return
      for (const event of answer.value.body.events) take(follower, event)
      yield* Effect.sleep("20 millis")
    }
  })

/** Starts a reader of the socket and one of the log; they follow until the scope ends. */
export const follow = Effect.fnUntraced(function* (target: Target) {
  const socket = makeFollower("the socket")
  const log = makeFollower("the log")
  const forever = (follower: Follower, read: typeof poll) =>
    current(target).pipe(
      Effect.flatMap((hub) => read(follower, hub)),
      Effect.andThen(Effect.sleep("5 millis")),
      Effect.forever,
      Effect.forkScoped
    )
  yield* forever(socket, listen)
  yield* forever(log, poll)
  return [socket, log]
})
