/** Those who listen: sockets and event streams that come and go, and one that stops reading. */
import { NodeWS } from "@effect/platform-node"
import { get } from "node:http"
import type { Server } from "../hub.ts"
import { type Random, seeded } from "./random.ts"

const sockets = 10
const streams = 3

export interface Listeners {
  /** Connections that were made. */
  readonly made: () => number
  readonly received: () => number
  /** How often the slow one was cut. */
  readonly cut: () => number
  /** Events that were missed or doubled, and connections that ended for no reason. */
  readonly errors: ReadonlyArray<string>
  readonly stop: () => Promise<void>
}

/** Whoever comes back says up to where it has all. */
interface Reader {
  readonly name: string
  last: number | undefined
}

/** Ends with the connection; `over` ends it. */
type Connect = (reader: Reader, over: AbortSignal) => Promise<void>

export const startListeners = (hub: Server, seed: number): Listeners => {
  const random: Random = seeded(seed)
  const errors: Array<string> = []
  const stopping = new AbortController()
  let made = 0
  let received = 0
  let cut = 0

  const took = (reader: Reader, id: number): void => {
    received++
    if (reader.last !== undefined && id !== reader.last + 1)
      errors.push(`${reader.name}: event ${id} came after ${reader.last}`)
    reader.last = id
  }

  /** One that has nothing yet begins with what comes: the hub takes a number from the future for the newest. */
  const position = (reader: Reader): number => reader.last ?? Number.MAX_SAFE_INTEGER

  const open = (reader: Reader): NodeWS.WebSocket => {
    const ws = new NodeWS.WebSocket(`ws://${hub.host}:${hub.port}/ws?token=${hub.auth_token}`)
    made++
    ws.on("open", () => ws.send(JSON.stringify({ type: "hello", after_event_id: position(reader) })))
    ws.on("message", (data) => {
      const frame: { type: string; event_id: number } = JSON.parse(data.toString())
      if (frame.type === "event") took(reader, frame.event_id)
    })
    return ws
  }

  const socket: Connect = (reader, over) =>
    new Promise((resolve) => {
      const ws = open(reader)
      // Some say goodbye, some are just gone.
      const leave = (): void => (random.below(2) === 0 ? ws.close() : ws.terminate())
      over.addEventListener("abort", leave, { once: true })
      ws.on("error", (error) => over.aborted || errors.push(`${reader.name}: ${error.message}`))
      ws.on("close", (code) => {
        over.removeEventListener("abort", leave)
        if (!over.aborted) errors.push(`${reader.name}: closed with ${code}`)
        resolve()
      })
    })

  const stream: Connect = (reader, over) =>
    new Promise((resolve) => {
      made++
      const path = `/api/v1/events/stream?after=${position(reader)}`
      const asked = get({ host: hub.host, port: hub.port, path, signal: over, agent: false }, (response) => {
        let rest = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) if (line.startsWith("id: ")) took(reader, Number(line.slice(4)))
        })
        response.on("error", (error) => over.aborted || errors.push(`${reader.name}: ${error.message}`))
        response.on("close", resolve)
      })
      asked.on("error", (error) => {
        if (!over.aborted) errors.push(`${reader.name}: ${error.message}`)
        resolve()
      })
    })

  /** Stops reading until the hub lets go of it, or for as long as it stays. */
  const slow: Connect = (reader, over) =>
    new Promise((resolve) => {
      const ws = open(reader)
      const leave = (): void => ws.terminate()
      over.addEventListener("abort", leave, { once: true })
      ws.on("open", () => ws.pause())
      ws.on("error", (error) => over.aborted || errors.push(`${reader.name}: ${error.message}`))
      ws.on("close", () => {
        over.removeEventListener("abort", leave)
        if (!over.aborted) cut++
        resolve()
      })
    })

  const comesAndGoes = async (reader: Reader, connect: Connect, longest: number): Promise<void> => {
    while (!stopping.signal.aborted) {
      const stays = AbortSignal.timeout(Math.round(1_000 + random.next() * longest))
      await connect(reader, AbortSignal.any([stays, stopping.signal]))
    }
  }

  const reader = (name: string): Reader => ({ name, last: undefined })
  const all = [
    ...Array.from({ length: sockets }, (_, n) => comesAndGoes(reader(`socket ${n}`), socket, 40_000)),
    ...Array.from({ length: streams }, (_, n) => comesAndGoes(reader(`stream ${n}`), stream, 40_000)),
    comesAndGoes(reader("slow socket"), slow, 120_000)
  ]
  return {
    made: () => made,
    received: () => received,
    cut: () => cut,
    errors,
    stop: async () => {
      stopping.abort()
      await Promise.all(all)
    }
  }
}
