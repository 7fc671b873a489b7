/** What servers answer, in all the ways it could be wrong: a fetch has an answer or an error, and the next one works. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:net"
import { gzipSync } from "node:zlib"
import { Edits, edited, times } from "../support/fuzz.ts"
import { serveRaw, startSession } from "../support/net.ts"

const gzip = gzipSync("hello ".repeat(50))
const texts: ReadonlyArray<Buffer> = [
  Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello"),
  Buffer.from(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nt: u\r\n\r\n"
  ),
  Buffer.from("HTTP/1.1 302 Found\r\nlocation: /good\r\ncontent-length: 3\r\n\r\nabc"),
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${gzip.length}\r\nconnection: close\r\n\r\n`
    ),
    gzip
  ])
]

describe("a server's response", () => {
  it.live.prop(
    "edited, is an answer or an error",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const server = yield* serveRaw(
          createServer((socket) => {
            socket.once("data", (request) => {
              const asked = /^GET \/(\d)/.exec(request.toString())?.[1]
              const text = asked === undefined ? undefined : texts[Number(asked)]
              socket.end(text === undefined ? "HTTP/1.1 200 OK\r\n\r\ngood" : edited(text, edits))
            })
          })
        )
        const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
        for (let n = 0; n < texts.length; n++) {
          const { head, error } = yield* guest.get(`${server.origin}/${n}`)
          assert.isTrue(head !== undefined || error !== undefined)
          // A broken answer is the server's doing, and said so; it is never the broker's own.
          if (error !== undefined) assert.notInclude(error, "the request failed (")
        }
        const { body } = yield* guest.get(`${server.origin}/good`)
        assert.strictEqual(body.toString(), "good")
      }).pipe(Effect.scoped),
    times(40)
  )
})
