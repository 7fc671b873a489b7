/** What clients send, in all the ways it could be wrong: a refusal in the protocol's shape, and the next one works. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { connect } from "node:net"
import { Edits, edited, times } from "../../../test/support/fuzz.ts"
import { connect as connectSocket, hello } from "../socketClient.ts"
import { makeTopic, startHub, type TestHub } from "../testHub.ts"

type Shared = TestHub & { readonly topic: string }
const scope = Scope.makeUnsafe()
let hub: Shared | undefined
beforeAll(async () => {
  hub = await Effect.runPromise(
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      return { ...hub, topic }
    }).pipe(Scope.provide(scope), Effect.orDie)
  )
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const shared = Effect.suspend(() => (hub === undefined ? Effect.die("no hub") : Effect.succeed(hub)))

/** All that comes for some bytes, until the hub closes or is silent for a while. */
const answerTo = (hub: Pick<TestHub, "url">, bytes: Buffer) =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(hub.url)
    const socket = connect(Number(port), hostname)
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    // Half a request waits for its other half: its end is the client's to say.
    socket.end(bytes)
    socket.setTimeout(2_000, () => socket.destroy())
  })

/** The first response's status and body, where it has both. */
const first = (text: string) => {
  const head = /^HTTP\/1\.1 (\d{3})[^\r]*\r\n/.exec(text)
  const end = text.indexOf("\r\n\r\n")
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? 0)
  return { status: Number(head?.[1]), body: text.slice(end + 4, end + 4 + length) }
}

/** A WebSocket handshake's text. */
const handshake = (
  hub: Pick<TestHub, "url" | "token">,
  headers: { readonly [name: string]: string } = {}
) => {
  const all = {
    host: new URL(hub.url).host,
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET /ws?token=${hub.token} HTTP/1.1\r\n${lines.join("")}\r\n`
}

describe("what fuzzing found", () => {
  it.live.each([
    { "sec-websocket-key": "!dGhlIHNhbXBsZSBub25jZQ==" },
    { "sec-websocket-key": "" },
    { "sec-websocket-version": "7" },
    { "sec-websocket-protocol": "a, a" },
    { "sec-websocket-protocol": "a b" },
    { connection: "close" }
  ])("a bad handshake is refused as the protocol says: %o", (headers) =>
    Effect.gen(function* () {
      const hub = yield* shared
      const { status, body } = first(yield* answerTo(hub, Buffer.from(handshake(hub, headers))))
      assert.strictEqual(status, "sec-websocket-version" in headers ? 426 : 400)
      assert.strictEqual(JSON.parse(body).code, "INVALID_INPUT")
    })
  )
})

describe("a request", () => {
  it.live.prop(
    "edited is answered, or refused as the protocol says",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const hub = yield* shared
        const body = JSON.stringify({ topic_id: hub.topic, sender: "ada", content_raw: "hello" })
        const { host } = new URL(hub.url)
        const requests = [
          `POST /api/v1/messages HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${hub.token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
          `GET /api/v1/messages?limit=5&topic_id=${hub.topic} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
          handshake(hub)
        ]
        for (const request of requests) {
          const text = yield* answerTo(hub, edited(Buffer.from(request), edits))
          if (text === "") continue
          const { status, body } = first(text)
          assert.isTrue(status === 101 || (status >= 200 && status < 500), text.slice(0, 300))
          if (status < 400 || body === "") continue
          const refusal = JSON.parse(body)
          assert.isString(refusal.error, text.slice(0, 300))
          assert.isString(refusal.code, text.slice(0, 300))
        }
        const { status } = yield* hub.get("/health")
        assert.strictEqual(status, 200)
      }),
    times(25)
  )
})

/** A text as a client's frames have it. */
const masked = (text: string): Buffer => {
  const mask = Buffer.from([1, 2, 3, 4])
  const length = Buffer.alloc(2)
  length.writeUInt16BE(text.length)
  const payload = Buffer.from(text).map((byte, at) => byte ^ (mask[at % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x81, 0xfe]), length, mask, payload])
}

describe("a frame", () => {
  it.live.prop(
    "edited in its bytes ends its socket alone",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const hub = yield* shared
        const upgrade = handshake(hub)
        const frame = masked(JSON.stringify({ type: "hello", after_event_id: 0, more: "x".repeat(200) }))
        // The bytes that say what kind it is and how long, and any.
        for (const part of [frame.subarray(0, 14), frame]) {
          const bytes = Buffer.concat([edited(part, edits), frame.subarray(part.length), frame])
          const text = yield* answerTo(hub, Buffer.concat([Buffer.from(upgrade), bytes]))
          assert.match(text, /^HTTP\/1\.1 101 /)
        }
        const good = yield* connectSocket(hub, hello(0))
        yield* good.reaches(1)
      }).pipe(Effect.scoped),
    times(15)
  )

  it.live.prop(
    "edited is taken, or ends its socket alone",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const hub = yield* shared
        const frame = edited(
          Buffer.from(JSON.stringify(hello(0, { channels: ["a"], topics: [hub.topic] }))),
          edits
        )
        for (const data of [frame, frame.toString("latin1")]) {
          const client = yield* connectSocket(hub)
          client.ws.send(data)
          client.ws.send(data)
          client.ws.close()
          const { code } = yield* client.closed
          assert.notInclude([1006, 1011], code)
        }
        const good = yield* connectSocket(hub, hello(0))
        yield* good.reaches(1)
      }).pipe(Effect.scoped),
    times(15)
  )
})
