/** The host's net broker against real servers on the loopback. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Schema, Scope } from "effect"
import { createServer } from "node:net"
import * as tls from "node:tls"
import * as zlib from "node:zlib"
import { makeTraffic } from "../../src/net/NetSession.ts"
import { serve, serveRaw, serveSecure, startSession } from "../support/net.ts"

const answer = "hello from the server"
const kib = 1024

/** A resolver that knows a few names, and counts what it is asked. */
const resolver = (names: { readonly [name: string]: ReadonlyArray<string> }) => {
  const asked: Array<string> = []
  return {
    asked,
    resolve: async (host: string) => {
      asked.push(host)
      const addresses = names[host]
      if (addresses === undefined) throw Object.assign(new Error(`no ${host}`), { code: "ENOTFOUND" })
      return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
    }
  }
}

const collected = (stream: NodeJS.ReadableStream): Promise<string> =>
  new Promise((resolve) => {
    let text = ""
    stream.on("data", (chunk) => {
      text += chunk
    })
    stream.on("end", () => resolve(text))
  })

describe("hosts and ports", () => {
  it.live("are allowed if granted, and refused before anything is sent", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const other = yield* serve((_, response) => response.end("other"))
      const names = resolver({ "a.test": ["127.0.0.1"] })
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`], resolve: names.resolve })
      const granted = yield* guest.get(`${server.origin}/path?query`)
      assert.strictEqual(granted.body.toString(), answer)
      assert.strictEqual(granted.head?.status, 200)
      assert.strictEqual(granted.head?.url, `${server.origin}/path?query`)
      assert.strictEqual(granted.head?.redirected, false)
      const port = yield* guest.get(`${other.origin}/`)
      assert.strictEqual(
        port.error,
        `TypeError: 127.0.0.1:${other.port} is not granted; grant it with grants.net: ["127.0.0.1:${other.port}"]`
      )
      assert.strictEqual(other.connections(), 0)
      const name = yield* guest.get("https://a.test/")
      assert.strictEqual(
        name.error,
        'TypeError: a.test:443 is not granted; grant it with grants.net: ["a.test"]'
      )
      assert.deepStrictEqual(names.asked, [])
    })
  )

  it.live("are granted by wildcard at any depth", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => response.end(request.headers.host))
      const names = resolver({ "a.b.test": ["127.0.0.1"], "b.test": ["127.0.0.1"] })
      const guest = yield* startSession({
        grants: [`*.b.test:${server.port}`, "127.0.0.0/8"],
        resolve: names.resolve
      })
      const below = yield* guest.get(`http://a.b.test:${server.port}/`)
      assert.strictEqual(below.body.toString(), `a.b.test:${server.port}`)
      const apex = yield* guest.get(`http://b.test:${server.port}/`)
      assert.include(apex.error, "is not granted")
      assert.strictEqual(server.connections(), 1)
    })
  )

  it.live("are checked together with scheme and credentials", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      for (const [url, problem] of [
        ["file:///etc/passwd", "file: URLs cannot be fetched"],
        ["data:text/plain,hi", "data: URLs cannot be fetched"],
        ["ws://127.0.0.1/", "ws: URLs cannot be fetched"],
        ["/relative", "is not an absolute URL"],
        ["http://", "is not an absolute URL"],
        [`http://user:secret@127.0.0.1:${server.port}/`, "carries credentials"]
      ] as const) {
        const { error } = yield* guest.get(url)
        assert.include(error, problem)
      }
      assert.strictEqual(server.connections(), 0)
    })
  )
})

describe("addresses that are not public", () => {
  it.live("are refused for a granted name, and opened by a range", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const { resolve } = resolver({ "a.test": ["127.0.0.1"], "mixed.test": ["8.8.8.8", "127.0.0.1"] })
      const target = `a.test:${server.port}`
      const closed = yield* startSession({
        grants: [target, `mixed.test:${server.port}`, `127.0.0.1:${server.port}`],
        resolve
      })
      const refused = yield* closed.get(`http://${target}/`)
      assert.strictEqual(
        refused.error,
        `TypeError: ${target} resolves to 127.0.0.1, which is not a public address; grant it with grants.net: ["127.0.0.1/32"]`
      )
      const mixed = yield* closed.get(`http://mixed.test:${server.port}/`)
      assert.include(mixed.error, "resolves to 127.0.0.1, which is not a public address")
      assert.strictEqual(server.connections(), 0)
      // The remedy as it was given.
      const open = yield* startSession({ grants: [target, "127.0.0.1/32"], resolve })
      const granted = yield* open.get(`http://${target}/`)
      assert.strictEqual(granted.body.toString(), answer)
    })
  )

  it.live("are opened by name only for localhost", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const { resolve } = resolver({ localhost: ["127.0.0.1"] })
      const guest = yield* startSession({ grants: [`localhost:${server.port}`], resolve })
      const granted = yield* guest.get(`http://localhost:${server.port}/`)
      assert.strictEqual(granted.body.toString(), answer)
      const rebound = yield* startSession({
        grants: [`localhost:${server.port}`],
        resolve: resolver({ localhost: ["10.0.0.1"] }).resolve
      })
      const refused = yield* rebound.get(`http://localhost:${server.port}/`)
      assert.include(refused.error, "is not a public address")
    })
  )

  it.live("are refused in every notation", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const names = resolver({
        "mapped.test": ["::ffff:127.0.0.1"],
        "nat64.test": ["64:ff9b::7f00:1"],
        "sixtofour.test": ["2002:7f00:1::1"],
        "metadata.test": ["169.254.169.254"],
        "zone.test": ["fe80::1%lo"],
        "nobody.test": ["0.0.0.0"],
        "nothing.test": []
      })
      const guest = yield* startSession({ grants: ["*.test:*"], resolve: names.resolve })
      for (const name of ["mapped", "nat64", "sixtofour", "metadata", "zone", "nobody"]) {
        const { error } = yield* guest.get(`http://${name}.test:${server.port}/`)
        assert.match(error ?? "", /is not a public address|cannot be reached/)
      }
      const nothing = yield* guest.get("http://nothing.test/")
      assert.include(nothing.error, "could not be resolved (no address)")
      const unknown = yield* guest.get("http://unknown.test/")
      assert.include(unknown.error, "unknown.test:80 could not be resolved (ENOTFOUND)")
      assert.strictEqual(server.connections(), 0)
    })
  )

  it.live("cannot be reached by rebinding: a name is resolved once per connection", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const inside = yield* serve((_, response) => response.end("inside"), {
        host: "127.0.0.2",
        port: server.port
      })
      const answers = ["127.0.0.1", "127.0.0.2"]
      let asked = 0
      const guest = yield* startSession({
        grants: [`a.test:${server.port}`, "127.0.0.1/32"],
        resolve: async () => [{ address: answers[asked++] ?? "127.0.0.2", family: 4 }]
      })
      const first = yield* guest.get(`http://a.test:${server.port}/`)
      assert.strictEqual(first.body.toString(), answer)
      assert.strictEqual(asked, 1)
      const second = yield* guest.get(`http://a.test:${server.port}/`)
      assert.include(second.error, "resolves to 127.0.0.2, which is not a public address")
      assert.strictEqual(inside.connections(), 0)
    })
  )

  it.live("cannot be reached by rebinding from a public address", () =>
    Effect.gen(function* () {
      const inside = yield* serve((_, response) => response.end("inside"))
      let asked = 0
      const guest = yield* startSession({
        grants: [`a.test:${inside.port}`],
        limits: { fetchTimeout: "300 millis" },
        resolve: async () => [{ address: asked++ === 0 ? "8.8.8.8" : "127.0.0.1", family: 4 }]
      })
      const { error } = yield* guest.get(`http://a.test:${inside.port}/`)
      assert.isDefined(error)
      assert.notInclude(error, "is not a public address")
      assert.strictEqual(asked, 1)
      assert.strictEqual(inside.connections(), 0)
    })
  )
})

describe("audit", () => {
  it.live("allows targets without a grant, and reports them", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const reports: Array<string> = []
      const guest = yield* startSession({
        grants: ["127.0.0.0/8"],
        audit: (what) => reports.push(what),
        resolve: resolver({ "a.test": ["127.0.0.1"] }).resolve
      })
      for (const path of ["one", "two"]) {
        const { body } = yield* guest.get(`http://a.test:${server.port}/${path}`)
        assert.strictEqual(body.toString(), answer)
      }
      assert.deepStrictEqual([...new Set(reports)], [`a.test:${server.port}`])
    })
  )

  it.live("reports addresses that are not public and keeps them closed", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const reports: Array<string> = []
      const guest = yield* startSession({ grants: [], audit: (what) => reports.push(what) })
      for (const host of [`127.0.0.1:${server.port}`, `0.0.0.0:${server.port}`, "169.254.169.254"]) {
        const { error } = yield* guest.get(`http://${host}/latest/meta-data`)
        assert.isDefined(error)
      }
      assert.strictEqual(server.connections(), 0)
      assert.include(reports, `127.0.0.1:${server.port}`)
      assert.include(reports, "169.254.169.254:80")
    })
  )
})

describe("redirects", () => {
  /** Redirects to what its query says, with the status it says; else shows what it was asked. */
  const redirecting = serve((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x")
    const to = searchParams.get("to")
    if (to !== null) {
      response.writeHead(Number(searchParams.get("status") ?? "302"), { location: to }).end("moved")
      return
    }
    void collected(request).then((body) =>
      response.end(JSON.stringify({ method: request.method, headers: request.headers, body }))
    )
  })
  const via = (origin: string, to: string, status = 302): string =>
    `${origin}/?status=${status}&to=${encodeURIComponent(to)}`

  it.live("are followed, and the response has the last URL", () =>
    Effect.gen(function* () {
      const server = yield* redirecting
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const { head, body } = yield* guest.get(via(server.origin, "/end"))
      assert.strictEqual(head?.status, 200)
      assert.strictEqual(head?.redirected, true)
      assert.strictEqual(head?.url, `${server.origin}/end`)
      assert.strictEqual(JSON.parse(body.toString()).method, "GET")
    })
  )

  it.live("are checked at each hop", () =>
    Effect.gen(function* () {
      const server = yield* redirecting
      const denied = yield* serve((_, response) => response.end("denied"))
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`, `a.test:${denied.port}`],
        resolve: resolver({ "a.test": ["127.0.0.1"] }).resolve
      })
      for (const [to, problem] of [
        [denied.origin, `127.0.0.1:${denied.port} is not granted`],
        [`http://a.test:${denied.port}/`, "which is not a public address"],
        ["file:///etc/passwd", "file: URLs cannot be fetched"],
        [`http://me:secret@127.0.0.1:${server.port}/`, "carries credentials"],
        ["http://", "is not an absolute URL"],
        [via(server.origin, denied.origin), `127.0.0.1:${denied.port} is not granted`]
      ] as const) {
        const { error, head } = yield* guest.get(via(server.origin, to))
        assert.include(error, problem)
        assert.isUndefined(head)
      }
      assert.strictEqual(denied.connections(), 0)
    })
  )

  it.live("end after ten", () =>
    Effect.gen(function* () {
      let hops = 0
      const server = yield* serve((_, response) => {
        hops++
        response.writeHead(302, { location: "/again" }).end()
      })
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const { error } = yield* guest.get(server.origin)
      assert.strictEqual(error, "TypeError: more than 10 redirects")
      assert.strictEqual(hops, 11)
    })
  )

  it.live("are returned or refused, as requested", () =>
    Effect.gen(function* () {
      const server = yield* redirecting
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const url = via(server.origin, "/end")
      const manual = yield* guest.get(url, { redirect: "manual" })
      assert.strictEqual(manual.head?.status, 302)
      assert.strictEqual(new Map(manual.head?.headers).get("location"), "/end")
      assert.strictEqual(manual.body.toString(), "moved")
      const refused = yield* guest.get(url, { redirect: "error" })
      assert.include(refused.error, "answered with a redirect")
    })
  )

  it.live("change method and body as the Fetch standard says", () =>
    Effect.gen(function* () {
      const server = yield* redirecting
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      for (const [status, method, expected, body] of [
        [301, "POST", "GET", ""],
        [302, "POST", "GET", ""],
        [303, "PUT", "GET", ""],
        [302, "PUT", "PUT", "data"],
        [307, "POST", "POST", "data"],
        [308, "POST", "POST", "data"]
      ] as const) {
        const outcome = yield* guest.get(via(server.origin, "/end", status), {
          method,
          body: ["da", "ta"],
          length: 4,
          headers: [["content-type", "text/x"]]
        })
        const seen = JSON.parse(outcome.body.toString())
        assert.strictEqual(seen.method, expected, `${status} ${method}`)
        assert.strictEqual(seen.body, body, `${status} ${method}`)
        assert.strictEqual(seen.headers["content-type"], body === "" ? undefined : "text/x")
      }
    })
  )

  it.live("send no secrets to another origin", () =>
    Effect.gen(function* () {
      const server = yield* redirecting
      const other = yield* redirecting
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`, `127.0.0.1:${other.port}`] })
      const headers = [
        ["authorization", "Bearer secret"],
        ["cookie", "a=secret"],
        ["x-other", "kept"]
      ] as const
      const within = yield* guest.get(via(server.origin, "/end"), { headers })
      assert.include(JSON.parse(within.body.toString()).headers, {
        authorization: "Bearer secret",
        cookie: "a=secret",
        "x-other": "kept"
      })
      const across = yield* guest.get(via(server.origin, `${other.origin}/end`), { headers })
      assert.notInclude(across.body.toString(), "secret")
      assert.strictEqual(JSON.parse(across.body.toString()).headers["x-other"], "kept")
      // And not back again.
      const back = yield* guest.get(via(server.origin, via(other.origin, `${server.origin}/end`)), {
        headers
      })
      assert.notInclude(back.body.toString(), "secret")
    })
  )
})

describe("responses", () => {
  it.live("are decompressed if gzip, and refused in any other encoding", () =>
    Effect.gen(function* () {
      const text = "compressed ".repeat(20_000)
      const answers: { readonly [path: string]: readonly [string, Buffer | string] } = {
        "/gzip": ["gzip", zlib.gzipSync(text)],
        "/x-gzip": ["X-GZip", zlib.gzipSync(text)],
        "/identity": ["identity", text],
        "/empty": ["gzip", ""],
        "/deflate": ["deflate", zlib.deflateSync(text)],
        "/br": ["br", zlib.brotliCompressSync(text)],
        "/zstd": ["zstd", zlib.zstdCompressSync(text)],
        "/twice": ["gzip, gzip", zlib.gzipSync(zlib.gzipSync(text))],
        "/unknown": ["zoo", text]
      }
      const asked = new Set<string | undefined>()
      const server = yield* serve((request, response) => {
        asked.add(request.headers["accept-encoding"]?.toString())
        const [encoding, bytes] = answers[request.url ?? ""] ?? ["", ""]
        response.setHeader("content-encoding", encoding)
        response.end(bytes)
      })
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      for (const path of ["gzip", "x-gzip", "identity"]) {
        const { body, error } = yield* guest.get(`${server.origin}/${path}`)
        assert.isUndefined(error)
        assert.strictEqual(body.toString(), text, path)
      }
      for (const path of ["deflate", "br", "zstd", "twice", "unknown"]) {
        const encoding = String(answers[`/${path}`]?.[0])
        const { head, error } = yield* guest.get(`${server.origin}/${path}`)
        assert.isUndefined(head)
        assert.strictEqual(
          error,
          `TypeError: the response of 127.0.0.1:${server.port} is encoded as "${encoding}", though gzip or nothing was asked for; have the server send either`
        )
      }
      assert.deepStrictEqual([...asked], ["gzip"])
      const empty = yield* guest.get(`${server.origin}/empty`)
      assert.isUndefined(empty.error)
      assert.strictEqual(empty.body.length, 0)
    })
  )

  it.live("fail above the size limit", () =>
    Effect.gen(function* () {
      const fetchBytes = 256 * kib
      // Decodes to nothing, for as long as one goes on reading.
      const hollow = Buffer.alloc(512 * kib, zlib.gzipSync(""))
      const bomb = zlib.gzipSync(Buffer.alloc(64 * kib * kib))
      const server = yield* serve((request, response) => {
        if (request.url === "/bomb") response.writeHead(200, { "content-encoding": "gzip" }).end(bomb)
        else if (request.url === "/hollow")
          response.writeHead(200, { "content-encoding": "gzip" }).end(hollow)
        else response.end(Buffer.alloc(Number(request.url?.slice(1))))
      })
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchBytes }
      })
      const fits = yield* guest.get(`${server.origin}/${fetchBytes}`)
      assert.strictEqual(fits.body.length, fetchBytes)
      for (const path of [String(fetchBytes + 1), String(20 * fetchBytes), "bomb", "hollow"]) {
        const { error, body } = yield* guest.get(`${server.origin}/${path}`)
        assert.include(error, `is over ${fetchBytes} bytes; raise limits.fetchBytes`)
        assert.isAtMost(body.length, fetchBytes)
      }
      yield* server.deserted
    })
  )

  it.live("arrive only when they are pulled", () =>
    Effect.gen(function* () {
      let written = 0
      const server = yield* serve((_, response) => {
        const write = (): void => {
          // As much as the connection takes; 64 MiB in all.
          while (written < 64 * kib * kib) {
            written += 64 * kib
            if (!response.write(Buffer.alloc(64 * kib))) return void response.once("drain", write)
          }
          response.end()
        }
        write()
      })
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchBytes: 1024 * kib * kib }
      })
      const id = guest.open(server.origin)
      yield* guest.wait(id, "chunk")
      yield* Effect.sleep("100 millis")
      assert.strictEqual(guest.heard.filter(({ op }) => op === "chunk").length, 1)
      assert.isBelow(written, 32 * kib * kib)
      guest.say({ op: "pull", id })
      yield* Effect.sleep("50 millis")
      assert.strictEqual(guest.heard.filter(({ op }) => op === "chunk").length, 2)
      guest.say({ op: "cancel", id })
      yield* server.deserted
    })
  )

  it.live("do not stay open if they are small and unread", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(answer))
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchConcurrency: 1 }
      })
      const ids = [1, 2, 3].map(() => guest.open(server.origin))
      for (const id of ids) yield* guest.wait(id, "end")
    })
  )

  it.live("without a body end at once", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        if (request.method === "HEAD")
          response.writeHead(200, { "content-length": "9999", "content-encoding": "gzip" })
        else response.writeHead(204)
        response.end()
      })
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const head = yield* guest.get(server.origin, { method: "HEAD" })
      assert.deepStrictEqual([head.head?.status, head.error, head.body.length], [200, undefined, 0])
      const none = yield* guest.get(server.origin)
      assert.deepStrictEqual([none.head?.status, none.error, none.body.length], [204, undefined, 0])
    })
  )

  it.live("fail if they break off or are not HTTP", () =>
    Effect.gen(function* () {
      const answers: { readonly [path: string]: string } = {
        "/short": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        "/chunked": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "/gzip": "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nno gzip at all",
        "/nothing": "",
        "/garbage": "this is no HTTP\r\n\r\n",
        "/upgrade": "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw",
        "/headers": `HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}\r\n\r\n`
      }
      const server = yield* serveRaw(
        createServer((socket) => {
          socket.once("data", (request) => socket.end(answers[request.toString().split(" ")[1] ?? ""] ?? ""))
        })
      )
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      for (const path of Object.keys(answers)) {
        const { error, head } = yield* guest.get(`${server.origin}${path}`)
        assert.match(
          error ?? "",
          /^TypeError: (the (request to|response of) 127\.0\.0\.1:\d+ (failed|broke off) \(.+\)|the headers of 127\.0\.0\.1:\d+'s response are over 16384 bytes)$/
        )
        assert.strictEqual(head === undefined, !["/short", "/chunked", "/gzip"].includes(path), path)
      }
      const dead = yield* startSession({ grants: ["127.0.0.1:1"] })
      const refused = yield* dead.get("http://127.0.0.1:1/")
      assert.include(refused.error, "the request to 127.0.0.1:1 failed (ECONNREFUSED)")
    })
  )
})

describe("requests", () => {
  const echo = serve((request, response) => {
    void collected(request).then((body) =>
      response.end(JSON.stringify({ method: request.method, headers: request.headers, body }))
    )
  })

  it.live("carry method, headers and body", () =>
    Effect.gen(function* () {
      const server = yield* echo
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const { body } = yield* guest.get(server.origin, {
        method: "PATCH",
        headers: [
          ["x-one", "1"],
          ["x-two", "a"],
          ["x-two", "b"],
          ["user-agent", "mine"]
        ],
        body: ["first ", "second"],
        length: 12
      })
      const seen = JSON.parse(body.toString())
      assert.strictEqual(seen.method, "PATCH")
      assert.strictEqual(seen.body, "first second")
      assert.include(seen.headers, {
        host: `127.0.0.1:${server.port}`,
        "x-one": "1",
        "x-two": "a, b",
        "user-agent": "mine",
        "content-length": "12",
        connection: "close"
      })
    })
  )

  it.live("may stream a body of unknown length", () =>
    Effect.gen(function* () {
      const server = yield* echo
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const { body } = yield* guest.get(server.origin, { method: "POST", body: ["a", "", "b", "c"] })
      const seen = JSON.parse(body.toString())
      assert.strictEqual(seen.body, "abc")
      assert.strictEqual(seen.headers["transfer-encoding"], "chunked")
    })
  )

  it.live("with a body too long or of another length fail", () =>
    Effect.gen(function* () {
      const server = yield* echo
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const chunk = "x".repeat(60 * kib)
      for (const [body, length, problem] of [
        [Array.from({ length: 30 }, () => chunk), undefined, "the request body is over 1048576 bytes"],
        [[chunk], 2_000_000, "the request body is over 1048576 bytes"],
        [["abc"], 4, "the request body has 3 bytes instead of 4"],
        [["abcde"], 4, "the request body has 5 bytes instead of 4"]
      ] as const) {
        const { error } = yield* guest.get(server.origin, {
          method: "POST",
          body,
          ...(length === undefined ? {} : { length })
        })
        assert.strictEqual(error, `TypeError: ${problem}`)
      }
      yield* server.deserted
    })
  )

  it.live("may get a response before they are read", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.writeHead(413).end("too much"))
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const id = guest.open(server.origin, { method: "POST", body: [] })
      yield* guest.wait(id, "more")
      yield* guest.wait(id, "end")
      assert.strictEqual(guest.outcome(id).head?.status, 413)
      // Too late, and no offence.
      assert.isUndefined(guest.say({ op: "body", id, data: "" }))
    })
  )

  it.live("cannot set the host's own headers", () =>
    Effect.gen(function* () {
      const server = yield* echo
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      for (const name of [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "proxy-authorization",
        "upgrade"
      ]) {
        const { error } = yield* guest.get(server.origin, { headers: [[name, "x"]] })
        assert.strictEqual(
          error,
          `TypeError: the header "${name}" is set by the host and cannot be set by a plugin; leave it out`
        )
      }
      const many = Array.from({ length: 257 }, (_, at) => [`x-${at}`, ""] as const)
      const tooMany = yield* guest.get(server.origin, { headers: many })
      assert.include(tooMany.error, "more than 256 headers")
      for (const method of ["CONNECT", "TRACE", "trace"]) {
        const { error } = yield* guest.get(server.origin, { method })
        assert.include(error, "cannot be used with fetch")
      }
      const body = yield* guest.get(server.origin, { body: ["x"] })
      assert.include(body.error, "a GET request cannot have a body")
      assert.strictEqual(server.connections(), 0)
    })
  )
})

describe("limits", () => {
  it.live("of time apply to the head and to the body", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        if (request.url === "/head") return
        response.write("a start")
      })
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchTimeout: "200 millis" }
      })
      const outcomes = yield* Effect.all(
        [guest.get(`${server.origin}/head`), guest.get(`${server.origin}/body`)],
        {
          concurrency: "unbounded"
        }
      )
      for (const { error } of outcomes) {
        assert.strictEqual(error, "TimeoutError: the request took longer than 200ms")
      }
      assert.strictEqual(outcomes[1].body.toString(), "a start")
      yield* server.deserted
    })
  )

  it.live("of concurrency make requests wait; too many fail", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const two = yield* Deferred.make<void>()
      let now = 0
      let most = 0
      const server = yield* serve((_, response) => {
        now++
        most = Math.max(most, now)
        if (now === 2) Deferred.doneUnsafe(two, Effect.void)
        void Effect.runPromise(Deferred.await(go)).then(() => {
          now--
          response.end(answer)
        })
      })
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchConcurrency: 2 }
      })
      const ids = Array.from({ length: 66 }, () => guest.open(server.origin))
      const tooMany = guest.open(server.origin)
      const refused = yield* guest.wait(tooMany, "error")
      assert.include(refused.message, "more than 64 requests wait for their turn")
      yield* Deferred.await(two)
      assert.strictEqual(server.connections(), 2)
      yield* Deferred.succeed(go, undefined)
      for (const id of ids) yield* guest.wait(id, "end")
      assert.strictEqual(most, 2)
      assert.strictEqual(server.connections(), 66)
      // There is room again.
      const again = yield* guest.get(server.origin)
      assert.strictEqual(again.body.toString(), answer)
    })
  )

  it.live("of concurrency can be shared by several sessions", () =>
    Effect.gen(function* () {
      let now = 0
      let most = 0
      const server = yield* serve((_, response) => {
        now++
        most = Math.max(most, now)
        setTimeout(() => {
          now--
          response.end(answer)
        }, 20)
      })
      const options = { grants: [`127.0.0.1:${server.port}`], traffic: makeTraffic(1) }
      const guests = yield* Effect.all([startSession(options), startSession(options)])
      yield* Effect.all(
        guests.flatMap((guest) => [guest.get(server.origin), guest.get(server.origin)]),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(most, 1)
    })
  )
})

describe("the end", () => {
  it.live("of a session ends its requests and connections", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        if (request.url === "/body") response.write("a start")
      })
      const scope = yield* Scope.make()
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`, `a.test:${server.port}`],
        limits: { fetchConcurrency: 3 },
        resolve: () => new Promise(() => {})
      }).pipe(Scope.provide(scope))
      const silent = guest.open(`${server.origin}/silent`, { method: "POST", body: ["x"] })
      const body = guest.open(`${server.origin}/body`)
      guest.open(`http://a.test:${server.port}/resolving`)
      guest.open(`${server.origin}/waiting`)
      yield* guest.wait(silent, "more")
      yield* guest.wait(body, "chunk")
      assert.strictEqual(server.open(), 2)
      yield* Scope.close(scope, Exit.void)
      yield* server.deserted
      assert.strictEqual(server.connections(), 2)
      const { length } = guest.heard
      assert.isUndefined(guest.say({ op: "pull", id: body }))
      assert.isUndefined(guest.session.receive("garbage"))
      guest.open(`${server.origin}/late`)
      yield* Effect.sleep("50 millis")
      assert.strictEqual(guest.heard.length, length)
      assert.strictEqual(server.connections(), 2)
    })
  )

  it.live("of the host's process does not wait for connections", () =>
    Effect.gen(function* () {
      const held = (): number =>
        process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length
      const server = yield* serve((_, response) => void response.write("a start"))
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const before = held()
      yield* guest.wait(guest.open(server.origin), "chunk")
      // The server's end of it only.
      assert.strictEqual(held() - before, 1)
      assert.strictEqual(server.open(), 1)
    })
  )

  it.live("of a request can come at any time", () =>
    Effect.gen(function* () {
      const server = yield* serve((request, response) => {
        if (request.url === "/body") response.write("a start")
      })
      const guest = yield* startSession({
        grants: [`127.0.0.1:${server.port}`],
        limits: { fetchConcurrency: 1 }
      })
      const body = guest.open(`${server.origin}/body`)
      const waiting = guest.open(`${server.origin}/body`)
      yield* guest.wait(body, "chunk")
      guest.say({ op: "cancel", id: waiting })
      guest.say({ op: "cancel", id: body })
      yield* server.deserted
      assert.isUndefined(guest.say({ op: "cancel", id: body }))
      assert.isUndefined(guest.say({ op: "pull", id: body }))
      // Its turn is free, and the one that was cancelled while it waited never came.
      const next = guest.open(`${server.origin}/body`)
      yield* guest.wait(next, "chunk")
      assert.strictEqual(server.connections(), 2)
      assert.isUndefined(guest.heard.find(({ id }) => id === waiting))
    })
  )
})

describe("garbage", () => {
  const open = {
    op: "open",
    id: 1,
    url: "http://127.0.0.1:1/",
    method: "GET",
    headers: [],
    hasBody: false,
    redirect: "follow"
  }
  const shape = "a fetch message of another shape"
  it.effect.each<readonly [string, string, string]>([
    ["nothing", "", shape],
    ["no JSON", "garbage", shape],
    ["null", "null", shape],
    ["an array", "[]", shape],
    ["an unknown op", '{"op":"connect","id":1}', shape],
    ["no op", '{"id":1}', shape],
    ["an op of the host", '{"op":"more","id":1}', shape],
    ["an id of 0", JSON.stringify({ ...open, id: 0 }), shape],
    ["a fraction of an id", JSON.stringify({ ...open, id: 1.5 }), shape],
    ["an id that is too large", JSON.stringify({ ...open, id: 2 ** 60 }), shape],
    ["an id that is a text", JSON.stringify({ ...open, id: "1" }), shape],
    ["a key too many", JSON.stringify({ ...open, agent: {} }), shape],
    ["__proto__", `{"__proto__":{},${JSON.stringify(open).slice(1)}`, shape],
    ["a key too few", JSON.stringify({ ...open, method: undefined }), shape],
    ["a method with a space", JSON.stringify({ ...open, method: "GET /x" }), shape],
    ["a method with a line", JSON.stringify({ ...open, method: "GET\r\n" }), shape],
    ["an unknown redirect mode", JSON.stringify({ ...open, redirect: "maybe" }), shape],
    ["a header with a line", JSON.stringify({ ...open, headers: [["x", "a\r\nb: c"]] }), shape],
    ["a header name with a colon", JSON.stringify({ ...open, headers: [["x:y", "a"]] }), shape],
    ["a header name of nothing", JSON.stringify({ ...open, headers: [["", "a"]] }), shape],
    ["a header beyond Latin-1", JSON.stringify({ ...open, headers: [["x", "\u0100"]] }), shape],
    ["a header of three", JSON.stringify({ ...open, headers: [["x", "a", "b"]] }), shape],
    ["a header of one", JSON.stringify({ ...open, headers: [["x"]] }), shape],
    ["headers in an object", JSON.stringify({ ...open, headers: { x: "a" } }), shape],
    ["a negative length", JSON.stringify({ ...open, length: -1 }), shape],
    ["too much", JSON.stringify({ ...open, url: `http://x/${"x".repeat(128 * kib)}` }), shape],
    ["depth", "[".repeat(100_000), shape],
    ["data that is no base64", '{"op":"body","id":1,"data":"a*=="}', shape],
    ["base64 cut short", '{"op":"body","id":1,"data":"abc"}', shape],
    ["a chunk too long", JSON.stringify({ op: "body", id: 1, data: "A".repeat(88 * kib) }), shape],
    ["a pull of nothing", '{"op":"pull","id":1}', "a message for a fetch that was never opened"],
    ["a cancel of nothing", '{"op":"cancel","id":7}', "a message for a fetch that was never opened"],
    ["a body of nothing", '{"op":"body","id":1,"data":""}', "a message for a fetch that was never opened"]
  ])("%s is a violation", ([, json, violation]) =>
    Effect.gen(function* () {
      const guest = yield* startSession({ grants: [] })
      assert.strictEqual(guest.session.receive(json), violation)
      assert.deepStrictEqual(guest.heard, [])
    })
  )

  it.live("a repeated id and an unrequested body", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => {})
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const id = guest.open(server.origin, { method: "POST", body: [] })
      assert.strictEqual(
        guest.session.receive(JSON.stringify({ ...open, id })),
        "a fetch that had been opened before"
      )
      const unasked = "a request body that nobody had asked for"
      assert.strictEqual(guest.say({ op: "body", id, data: "" }), unasked)
      yield* guest.wait(id, "more")
      assert.isUndefined(guest.say({ op: "bodyEnd", id }))
      assert.strictEqual(guest.say({ op: "bodyEnd", id }), unasked)
      const bodiless = guest.open(server.origin)
      assert.strictEqual(guest.say({ op: "bodyEnd", id: bodiless }), unasked)
    })
  )
})

describe("a message of a guest", () => {
  const valid = JSON.stringify({
    op: "open",
    id: 1,
    url: "http://127.0.0.1:1/",
    method: "POST",
    headers: [["x", "y"]],
    hasBody: true,
    length: 3,
    redirect: "follow"
  })
  const judged = (json: string) =>
    Effect.gen(function* () {
      const guest = yield* startSession({ grants: [] })
      const violation = guest.session.receive(json)
      assert.isTrue(violation === undefined || violation.length < 100)
      // Nothing was granted: whatever was let in can only be refused.
      yield* Effect.yieldNow
      for (const { op } of guest.heard) assert.strictEqual(op, "error")
    }).pipe(Effect.scoped)
  const place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: valid.length }))
  const op = Schema.Literals(["open", "body", "bodyEnd", "pull", "cancel"])

  it.effect.prop("any text", { text: Schema.String }, ({ text }) => judged(text), {
    arbitrary: { runs: 300 }
  })
  it.effect.prop("any JSON", { json: Schema.Json }, ({ json }) => judged(JSON.stringify(json)), {
    arbitrary: { runs: 300 }
  })
  it.effect.prop(
    "nearly a message",
    { op, id: Schema.Json, data: Schema.Json, url: Schema.Json, headers: Schema.Json },
    (fields) => judged(JSON.stringify({ ...JSON.parse(valid), ...fields })),
    { arbitrary: { runs: 300 } }
  )
  it.effect.prop(
    "a message cut and mended",
    { from: place, to: place, text: Schema.String },
    ({ from, to, text }) => judged(valid.slice(0, from) + text + valid.slice(to)),
    { arbitrary: { runs: 300 } }
  )
})

// Made for these tests, good for 100 years, trusted by nobody else.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvieo/Rb18k1jli+F
aQVgqpP+1csBkLmcAR+vKcIDsh+hRANCAATRy/BhFxNkPEtxxoqqOYZwv/BN+zDb
V189/ZTEi9NF8HaVUW3ev6mVk1n5x16OKIuow25R2vp6CaBhWuN+6fTb
-----END PRIVATE KEY-----`
const cert = `-----BEGIN CERTIFICATE-----
MIIBqTCCAU6gAwIBAgIUJBXMWXZlSOn7/B6QXsAdnaRc7b4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzAyMjYyMFoYDzIxMjYxMDMw
MDIyNjIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATRy/BhFxNkPEtxxoqqOYZwv/BN+zDbV189/ZTEi9NF8HaVUW3ev6mV
k1n5x16OKIuow25R2vp6CaBhWuN+6fTbo3wwejAdBgNVHQ4EFgQUBlhlXORK8yG8
JtJoIQ/ryUe8+wQwHwYDVR0jBBgwFoAUBlhlXORK8yG8JtJoIQ/ryUe8+wQwDwYD
VR0TAQH/BAUwAwEB/zAnBgNVHREEIDAegglsb2NhbGhvc3SCC3NlY3VyZS50ZXN0
hwR/AAABMAoGCCqGSM49BAMCA0kAMEYCIQC5GNO7/RyiuQqDgu8qmAlA19gi/u3J
OV4YUp3N+AcXwgIhAN9SviUZt1wbqD9BPFsCdG2e9k6utaZGLYWXlc2Y2Ica
-----END CERTIFICATE-----`

describe("https", () => {
  it.live("works only with servers whose certificate is valid", () =>
    Effect.gen(function* () {
      const server = yield* serveSecure((request, response) => response.end(request.headers.host), {
        key,
        cert
      })
      const target = `secure.test:${server.port}`
      const guest = yield* startSession({
        grants: [target, `other.test:${server.port}`, "127.0.0.1/32"],
        resolve: async () => [{ address: "127.0.0.1", family: 4 }]
      })
      const unknown = yield* guest.get(`https://${target}/`)
      assert.include(unknown.error, "SELF_SIGNED_CERT")
      const before = tls.getCACertificates("default")
      yield* Effect.acquireRelease(
        Effect.sync(() => tls.setDefaultCACertificates([...before, cert])),
        () => Effect.sync(() => tls.setDefaultCACertificates(before))
      )
      const known = yield* guest.get(`https://${target}/`)
      assert.strictEqual(known.body.toString(), target)
      const other = yield* guest.get(`https://other.test:${server.port}/`)
      assert.include(other.error, "ERR_TLS_CERT_ALTNAME_INVALID")
      const plain = yield* guest.get(`http://${target}/`)
      assert.isDefined(plain.error)
    })
  )
})
