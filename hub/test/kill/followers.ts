/** Readers that follow the events through every kill, each from where it had come to. */
import { NodeWS } from "@effect/platform-node"
import { Effect, Exit } from "effect"
import * as http from "node:http"
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

/** As `listen`, by server-sent events. */
const stream = (follower: Follower, { url }: Running): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const headers = { "last-event-id": String(last(follower)) }
    const request = http.get(`${url}/api/v1/events/stream`, { headers, agent: false }, (response) => {
      follower.connections++
      let rest = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => {
        // What has not ended is not an event yet: the connection may end in its middle.
        const blocks = (rest + part).split("\n\n")
        rest = blocks.pop() ?? ""
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1]
          if (data !== undefined) take(follower, JSON.parse(data))
        }
      })
      response.on("error", () => {})
      response.on("close", () => resume(Effect.void))
    })
    // A connection that fails is closed next.
    request.on("error", () => {})
    request.on("close", () => resume(Effect.void))
    return Effect.sync(() => request.destroy())
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

/** Starts readers of the socket, of the stream and of the log; they follow until the scope ends. */
export const follow = Effect.fnUntraced(function* (target: Target) {
  const start = Effect.fnUntraced(function* (name: string, read: typeof poll) {
    const follower = makeFollower(name)
    yield* current(target).pipe(
      Effect.flatMap((hub) => read(follower, hub)),
      Effect.andThen(Effect.sleep("5 millis")),
      Effect.forever,
      Effect.forkScoped
    )
    return follower
  })
  return yield* Effect.all([start("the socket", listen), start("the stream", stream), start("the log", poll)])
})
