/** What a WebSocket's handshake and other uncommon requests are answered, byte by byte, as the protocol says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { raw, type RawAnswer } from "./rawHttp.ts"
import { startHub, type TestHub } from "./testHub.ts"

const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
const version = "Sec-WebSocket-Version: 13"
const protocol = "Sec-WebSocket-Protocol:"
const extensions = "Sec-WebSocket-Extensions:"

const ask = (hub: TestHub, first: string, lines: ReadonlyArray<string>, body = "") =>
  // Byte by byte: what is not ASCII is Latin-1 in a header.
  raw(hub, [Buffer.from([first, ...lines, "", body].join("\r\n"), "latin1")])

const handshake = (hub: TestHub, lines: ReadonlyArray<string>, http = "HTTP/1.1") =>
  ask(hub, `GET /ws?token=${hub.token} ${http}`, [
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    ...lines
  ])

const isRefused = ({ status, body, headers }: RawAnswer, expected: number, error: RegExp, what: string) => {
  assert.strictEqual(status, expected, what)
  assert.strictEqual(typeof body.code, "string", what)
  assert.match(body.error, error, what)
  assert.match(headers.get("content-type") ?? "", /^application\/json/, what)
  assert.strictEqual(headers.get("x-content-type-options"), "nosniff", what)
}

const badKeys = [
  "",
  "short",
  "dGhlIHNhbXBsZSBub25jZQ",
  // 15 and 17 bytes, another alphabet, bits that stand for nothing, more than one.
  "dGhlIHNhbXBsZSBub25j",
  "dGhlIHNhbXBsZSBub25jZSE=",
  "dGhlIHNhbXBsZSBub25j_Q==",
  "dGhlIHNhbXBsZSBub25jZR==",
  "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
  "dGhlIHNhbXBsZSBub25jZQ==\u00a0",
  "A".repeat(8_000)
]

const badVersions = [
  "",
  "7",
  "8",
  "14",
  "13, 8",
  "013",
  "13.0",
  "0xd",
  "1e1",
  "+13",
  "13\u00a0",
  "9".repeat(8_000)
]

const badLists = [
  "",
  ",",
  "a,",
  ",a",
  "a,,b",
  "a b",
  "a/b",
  "(a)",
  "a\u00a0",
  "\u00e9",
  "a, b\u00a0, c",
  "a@b"
]

const badExtensions = [
  ...badLists,
  ";",
  "a;",
  "a; ;b",
  "a; b=",
  "a; =b",
  "a; b = c",
  'a; b="',
  'a; b="c',
  'a; b=""',
  'a; b="c d"',
  "permessage-deflate; client_max_window_bits=\u00e9",
  `${"a; ".repeat(2_500)}?`,
  `${"a,".repeat(3_500)}`,
  `a${" ".repeat(8_000)}?`
]

describe("a WebSocket's handshake", () => {
  it.live("that is wrong is refused in the protocol's shape, whatever is wrong with it", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const rows: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [[version], 400, /^Sec-WebSocket-Key: /],
        ...badKeys.map(
          (bad) => [[`Sec-WebSocket-Key: ${bad}`, version], 400, /^Sec-WebSocket-Key: /] as const
        ),
        [[key, key, version], 400, /^Sec-WebSocket-Key: /],
        [[key], 426, /^Sec-WebSocket-Version: must be 13/],
        ...badVersions.map(
          (bad) =>
            [[key, `Sec-WebSocket-Version: ${bad}`], 426, /^Sec-WebSocket-Version: must be 13/] as const
        ),
        [[key, version, version], 426, /^Sec-WebSocket-Version: must be 13/],
        ...[...badLists, "a, a", `${"a,".repeat(3_500)}a`].map(
          (bad) => [[key, version, `${protocol} ${bad}`], 400, /^Sec-WebSocket-Protocol: /] as const
        ),
        [[key, version, `${protocol} a`, `${protocol} a`], 400, /^Sec-WebSocket-Protocol: /],
        [[key, version, `${protocol} a`, `${protocol}`], 400, /^Sec-WebSocket-Protocol: /],
        ...badExtensions.map(
          (bad) => [[key, version, `${extensions} ${bad}`], 400, /^Sec-WebSocket-Extensions: /] as const
        ),
        [[key, version, `${extensions} a`, `${extensions} b c`], 400, /^Sec-WebSocket-Extensions: /],
        // What is no HTTP at all.
        [[key, version, `${protocol} a\u0000b`], 400, /not valid HTTP/],
        [[key, version, `${extensions} a\u001bb`], 400, /not valid HTTP/],
        [[key, version, `${extensions} a\u007fb`], 400, /not valid HTTP/],
        [[key, version, `${protocol} ${"a".repeat(20_000)}`], 431, /not valid HTTP/],
        [[key, version, "Upgrade: websocket"], 400, /WebSockets only/],
        [[key, version, "Content-Length: 5"], 400, /no body/],
        [[key, version, "Transfer-Encoding: chunked"], 400, /no body/]
      ]
      for (const [lines, status, error] of rows) {
        const what = JSON.stringify(lines).slice(0, 200)
        const answer = yield* handshake(hub, lines)
        isRefused(answer, status, error, what)
        if (status !== 426) continue
        assert.strictEqual(answer.headers.get("sec-websocket-version"), "13", what)
        assert.strictEqual(answer.headers.get("upgrade"), "websocket", what)
      }
      isRefused(yield* handshake(hub, [key, version], "HTTP/1.0"), 400, /HTTP\/1\.1/, "HTTP/1.0")
    })
  )

  it.live("is accepted with unknown extensions; the hub uses none of them", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      for (const lines of [
        [],
        [`${extensions} permessage-deflate; client_max_window_bits`],
        [
          `${extensions} permessage-deflate; server_max_window_bits=99`,
          `${extensions} x-webkit-deflate-frame`
        ],
        [`${extensions} nobody-knows; a; b=1;c="d" \t,\tother`],
        [`${protocol} one, two`],
        [`${protocol} one`, `${protocol} two`]
      ]) {
        const { status, headers } = yield* handshake(hub, [key, version, ...lines])
        assert.strictEqual(status, 101, lines.join())
        assert.strictEqual(headers.get("sec-websocket-extensions"), null, lines.join())
        assert.strictEqual(headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", lines.join())
      }
    })
  )
})

describe("an uncommon request", () => {
  it.live("is refused in the protocol's shape", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const host = "Host: localhost"
      const post = "POST /api/v1/channels HTTP/1.1"
      const json = [host, `Authorization: Bearer ${hub.token}`, "Content-Type: application/json"]
      const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>, string, number, RegExp]> = [
        ["CONNECT example.com:443 HTTP/1.1", [host], "", 405, /CONNECT/],
        ["GET /health HTTP/1.1", [host, "Expect: the-unexpected"], "", 417, /Expect/],
        ["GET /health HTTP/1.1", [host, host], "", 400, /one Host/],
        ["GET /health HTTP/1.1", [], "", 403, /Host/],
        ["GET /health HTTP/1.1", ["Host:"], "", 403, /Host/],
        ["GET /health HTTP/1.1", [host, "No colon"], "", 400, /not valid HTTP/],
        ["GET /health HTTP/9.9", [host], "", 400, /not valid HTTP/],
        ["NOSUCH /health HTTP/1.1", [host], "", 400, /not valid HTTP/],
        [
          post,
          [...json, "Transfer-Encoding: chunked", "Content-Length: 2"],
          "2\r\n{}\r\n0\r\n\r\n",
          400,
          /not valid HTTP/
        ],
        [post, [...json, "Transfer-Encoding: chunked, gzip"], "2\r\n{}\r\n0\r\n\r\n", 400, /not valid HTTP/],
        [post, [...json, "Transfer-Encoding: gzip"], "{}", 400, /not valid HTTP/],
        [post, [...json, "Transfer-Encoding: chunked"], "zz\r\n{}\r\n0\r\n\r\n", 400, /./],
        [post, [...json, "Transfer-Encoding: chunked"], "2\n{}\n0\n\n", 400, /./],
        [post, [...json, "Content-Length: 2", "Content-Length: 3"], "{}", 400, /not valid HTTP/],
        [post, [...json, "Content-Length: -1"], "{}", 400, /not valid HTTP/],
        [post, [...json, "Content-Length: 1x"], "{}", 400, /not valid HTTP/]
      ]
      for (const [first, lines, body, status, error] of rows)
        isRefused(yield* ask(hub, first, lines, body), status, error, `${first} ${lines.join()}`)
      assert.strictEqual((yield* hub.get("/api/v1/channels")).body.channels.length, 0)
    })
  )
})
