/** A hub whose every text is hostile: a real one, with somebody in between who spoils what it says. */
import { Effect } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { type Json, tempWorkspace, type TestHub } from "./testHub.ts"

/** What moves cursors, turns the direction of writing or is seen by nobody; without line feeds, which are text. */
export const hostile =
  "\u001b[2J\u001b]0;owned\u0007\r\b\u007f\u0085\u009b31m\u009d\u061c\u200b\u200e\u2028\u2029\u202e\u2060\u2066\ufeff\u{e0041}\u{e007f}"

/** What of it no terminal may get. Tabs and line feeds are text. */
export const rawly =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- they are what must not be there
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/u

/** What is not a text: the client compares it, or knows each value that there is. */
const fixed = new Set([
  "status",
  "state",
  "isolation",
  "sandbox",
  "enforcement",
  "type",
  "mode",
  "reason",
  "reuse"
])
const compared = new Set(["instance_id", "db_id", "proof", "database"])

const spoiled = (value: unknown, key = "", holder: object = {}): unknown => {
  if (typeof value === "string") {
    const isEventName = key === "name" && "event_id" in holder
    if (fixed.has(key) || compared.has(key) || isEventName) return value
    // Ids come back as arguments of commands, which have no U+0000.
    return value + hostile + (key === "id" || key.endsWith("_id") ? "" : "\u0000")
  }
  if (Array.isArray(value)) return value.map((item) => spoiled(item, key))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      // Names of fields are the protocol's, but for those of a plugin's own data.
      key === "value_json" ? name + hostile : name,
      spoiled(item, name, value)
    ])
  )
}

const inJson = JSON.stringify(hostile).slice(1, -1)
const inUrl = encodeURIComponent(hostile)

export type Mood =
  /** Its answers are spoiled. */
  | "spoils"
  /** It refuses everything but `/health`, in hostile words. */
  | "refuses"
  /** It refuses also `/health`. */
  | "refuses all"
  /** It answers with what no schema allows. */
  | "babbles"

const refusal = JSON.stringify({
  error: `no ${hostile}`,
  code: `CODE${hostile}`,
  details: { [`key${hostile}`]: [hostile] }
})
const babble = JSON.stringify({
  [hostile]: hostile,
  channels: [{ id: hostile, name: [hostile] }],
  plugins: hostile
})

/** Answers with the workspace whose `server.json` leads to it. */
export const hostileHub = Effect.fnUntraced(function* (hub: TestHub, mood: Mood = "spoils") {
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const { method = "GET", url = "/", headers } = request
    let sent = ""
    for await (const part of request.setEncoding("utf8")) sent += String(part)
    const isHealth = url.startsWith("/health")
    response.setHeader("content-type", "application/json")
    if (mood === "refuses all" || (mood === "refuses" && !isHealth)) {
      response.writeHead(400).end(refusal)
      return
    }
    if (mood === "babbles" && !isHealth) {
      response.end(babble)
      return
    }
    const body = sent.replaceAll(inJson, "")
    if (url.startsWith("/api/v1/events/stream")) {
      const upstream = await fetch(hub.url + url.replaceAll(inUrl, ""))
      response.setHeader("content-type", "text/event-stream")
      request.on("close", () => void upstream.body?.cancel().catch(() => {}))
      const decoder = new TextDecoder()
      let text = ""
      for await (const part of upstream.body ?? []) {
        text += decoder.decode(part, { stream: true })
        const lines = text.split("\n")
        text = lines.pop() ?? ""
        for (const line of lines) {
          if (!line.startsWith("data: ")) {
            response.write(`${line}\n`)
            continue
          }
          const frame: Json = JSON.parse(line.slice(6))
          response.write(`data: ${JSON.stringify(spoiled(frame))}\n`)
          // And one that no client knows yet.
          if (frame.name !== "channel.created") continue
          const next = { ...frame, event_id: frame.event_id + 0.5, name: `new${hostile}` }
          response.write(`\ndata: ${JSON.stringify(spoiled(next))}\n`)
        }
      }
      response.end()
      return
    }
    const found = await fetch(hub.url + url.replaceAll(inUrl, ""), {
      method,
      headers: {
        ...(headers.authorization === undefined ? {} : { authorization: headers.authorization }),
        ...(body === "" ? {} : { "content-type": "application/json" })
      },
      ...(body === "" ? {} : { body })
    })
    response.writeHead(found.status).end(JSON.stringify(spoiled(await found.json())))
  }
  const { port } = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = http.createServer((request, response) => void answer(request, response))
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("no port")
      return { server, port: address.port }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const workspace = yield* tempWorkspace
  const file = path.join(hub.workspace, ".agentlip", "server.json")
  const server: object = JSON.parse(fs.readFileSync(file, "utf8"))
  writeServerFile(workspace, { ...server, port })
  return workspace
})

export const writeServerFile = (workspace: string, server: object): void => {
  const folder = path.join(workspace, ".agentlip")
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  fs.writeFileSync(path.join(folder, "server.json"), JSON.stringify(server), { mode: 0o600 })
}
