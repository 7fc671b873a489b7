/** A WebSocket client that keeps all it is sent. */
import { NodeWS } from "@effect/platform-node"
import { Effect } from "effect"
import { eventually, type Json, type TestHub } from "./testHub.ts"

export interface Closed {
  readonly code: number
  readonly reason: string
}

export interface SocketClient {
  readonly ws: NodeWS.WebSocket
  readonly frames: ReadonlyArray<Json>
  /** Of the events alone, in the order they came in. */
  readonly ids: () => ReadonlyArray<number>
  readonly closed: Effect.Effect<Closed>
  /** Waits until it has been sent an event of this number or a later one. */
  readonly reaches: (id: number) => Effect.Effect<void>
}

const address = ({ url }: Pick<TestHub, "url">, query: string) => `${url.replace("http", "ws")}/ws${query}`

/** Opens a socket and says what is given, if anything; it ends with the scope. */
export const connect = (hub: Pick<TestHub, "url" | "token">, ...say: ReadonlyArray<Json>) =>
  Effect.acquireRelease(
    Effect.callback<SocketClient, Error>((resume) => {
      const ws = new NodeWS.WebSocket(address(hub, `?token=${hub.token}`))
      const frames: Json[] = []
      const closed = new Promise<Closed>((done) => {
        ws.on("close", (code, reason) => done({ code, reason: reason.toString() }))
      })
      const ids = () => frames.flatMap((frame) => (frame.type === "event" ? [Number(frame.event_id)] : []))
      const client: SocketClient = {
        ws,
        frames,
        ids,
        closed: Effect.promise(() => closed),
        reaches: (id) =>
          Effect.asVoid(
            eventually(
              Effect.sync(() => frames.at(-1)?.event_id ?? 0),
              (last) => last >= id
            )
          )
      }
      ws.on("message", (data) => frames.push(JSON.parse(data.toString())))
      ws.on("error", (error) => resume(Effect.fail(error)))
      ws.on("open", () => {
        for (const frame of say) ws.send(JSON.stringify(frame))
        resume(Effect.succeed(client))
      })
    }).pipe(Effect.orDie),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

/** What an upgrade is answered with instead of being made. */
export const refused = (hub: Pick<TestHub, "url">, query: string) =>
  Effect.callback<{ readonly status: number; readonly text: string }, Error>((resume) => {
    const ws = new NodeWS.WebSocket(address(hub, query))
    ws.on("open", () => resume(Effect.fail(new Error("it was upgraded"))))
    ws.on("error", (error) => resume(Effect.fail(error)))
    ws.on("unexpected-response", (_request, response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part) => parts.push(part))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }))
      )
    })
    return Effect.sync(() => ws.terminate())
  }).pipe(Effect.orDie)

export const hello = (after_event_id: number, subscriptions?: Json) => ({
  type: "hello",
  after_event_id,
  ...(subscriptions === undefined ? {} : { subscriptions })
})
