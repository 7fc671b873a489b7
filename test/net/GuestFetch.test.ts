/** The guest's `fetch` and the host's broker together, with real servers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result, Schema, Scope } from "effect"
import { getEventListeners } from "node:events"
import type * as http from "node:http"
import { vi } from "vitest"
import { parseNetGrants } from "../../src/capabilities/net.ts"
import { Headers } from "../../src/guest/fetch/headers.ts"
import { makeFetch } from "../../src/guest/fetch/makeFetch.ts"
import { Request, Response } from "../../src/guest/fetch/RequestResponse.ts"
import { fromBase64, toBase64 } from "../../src/guest/node/intrinsics.ts"
import { readMessage } from "../../src/net/readMessage.ts"
import type { NetLimits, NetSession } from "../../src/net/NetSession.ts"
import { netSession, serve } from "../support/net.ts"

const kib = 1024

/** A guest on a line to a broker; both ends answer in turns of their own, as over a port. */
const connect = (grants: ReadonlyArray<string>, limits: Partial<NetLimits> = {}, make = makeFetch) =>
  Effect.gen(function* () {
    const said: Array<string> = []
    const violations: Array<string> = []
    const net = make({
      toBase64,
      fromBase64,
      send: (json) => {
        said.push(json)
        setImmediate(() => {
          const violation = session.receive(json)
          if (violation !== undefined) violations.push(violation)
        })
      }
    })
    const session = yield* netSession({
      grants: Result.getOrThrow(parseNetGrants(grants)),
      limits: { fetchBytes: 5 * kib * kib, fetchConcurrency: 4, ...limits },
      send: (json) => setImmediate(() => net.receive(json))
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => assert.deepStrictEqual(violations, [])))
    return { ...net, said, violations }
  })

const rejection = (promise: Promise<unknown>): Effect.Effect<unknown> =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("it was to reject"),
      (error: unknown) => error
    )
  )

const nameAndMessage = (error: unknown): string => {
  assert.instanceOf(error, Error)
  return error instanceof Error ? `${error.name}: ${error.message}` : ""
}

/** Shows what it was asked; `/size/N` answers N bytes, `/drip` begins and never ends, `/silent` never begins. */
const handler: http.RequestListener = (request, response) => {
  const size = /^\/size\/(\d+)$/.exec(request.url ?? "")?.[1]
  if (request.url === "/silent") return
  if (request.url === "/drip") return void response.write("a start")
  if (request.url === "/moved") return void response.writeHead(302, { location: "/seen" }).end()
  if (size !== undefined) return void response.end(pattern(Number(size)))
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    response.setHeader("content-type", "application/json")
    response.setHeader("set-cookie", ["a=1", "b=2"])
    const body = Buffer.concat(chunks)
    response.statusCode = request.url === "/missing" ? 404 : 200
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: body.length > kib ? `${body.length} bytes` : body.toString()
      })
    )
  })
}
/** Nothing for a GET. */
const withBody = { body: "x" }
const pattern = (size: number): Buffer => Buffer.from(Uint8Array.from({ length: size }, (_, at) => at % 251))

const start = (limits?: Partial<NetLimits>, make?: typeof makeFetch) =>
  Effect.gen(function* () {
    const server = yield* serve(handler)
    const guest = yield* connect([`127.0.0.1:${server.port}`], limits, make)
    return { ...guest, server, at: (path: string) => `${server.origin}${path}` }
  })

const Seen = Schema.Struct({
  method: Schema.String,
  url: Schema.String,
  headers: Schema.Record(Schema.String, Schema.Unknown),
  body: Schema.String
})
const seen = Schema.decodeUnknownSync(Seen)

describe("fetch", () => {
  it.live("responds like the Web's", () =>
    Effect.gen(function* () {
      const { fetch, at, active } = yield* start()
      const response = yield* Effect.promise(() => fetch(at("/seen?a=b#c"), { headers: { "X-One": "1" } }))
      assert.instanceOf(response, Response)
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.statusText, "OK")
      assert.isTrue(response.ok)
      assert.isFalse(response.redirected)
      assert.strictEqual(response.type, "basic")
      assert.strictEqual(response.headers.get("Content-Type"), "application/json")
      assert.deepStrictEqual(response.headers.getSetCookie(), ["a=1", "b=2"])
      assert.isFalse(response.bodyUsed)
      const body = seen(yield* Effect.promise(() => response.json()))
      assert.isTrue(response.bodyUsed)
      assert.strictEqual(body.method, "GET")
      assert.strictEqual(body.url, "/seen?a=b")
      assert.strictEqual(body.headers["x-one"], "1")
      assert.strictEqual(active(), 0)
      const missing = yield* Effect.promise(() => fetch(at("/missing")))
      assert.deepStrictEqual([missing.status, missing.ok], [404, false])
      const moved = yield* Effect.promise(() => fetch(new URL(at("/moved"))))
      assert.deepStrictEqual([moved.redirected, moved.url], [true, at("/seen")])
      const stayed = yield* Effect.promise(() => fetch(at("/moved"), { redirect: "manual" }))
      assert.deepStrictEqual([stayed.status, stayed.headers.get("location")], [302, "/seen"])
    })
  )

  it.live("sends every kind of body", () =>
    Effect.gen(function* () {
      const { fetch, at } = yield* start()
      const bytes = new TextEncoder().encode("-bytes-")
      const generated = async function* () {
        yield "one "
        yield new TextEncoder().encode("two ")
        yield new Uint8Array(0)
        yield new TextEncoder().encode("three").buffer
      }
      const textType = "text/plain;charset=UTF-8"
      for (const [body, text, type, length] of [
        ["täxt", "täxt", textType, "5"],
        ["", "", textType, "0"],
        [new URLSearchParams({ a: "b c" }), "a=b+c", "application/x-www-form-urlencoded;charset=UTF-8", "5"],
        [bytes.buffer, "-bytes-", undefined, "7"],
        [bytes.subarray(1, 6), "bytes", undefined, "5"],
        [new DataView(bytes.buffer, 1, 2), "by", undefined, "2"],
        [generated(), "one two three", undefined, undefined],
        [ReadableStream.from(generated()), "one two three", undefined, undefined]
      ] as const) {
        const response = yield* Effect.promise(() => fetch(at("/"), { method: "post", body }))
        const got = seen(yield* Effect.promise(() => response.json()))
        assert.deepStrictEqual(
          [got.method, got.body, got.headers["content-type"], got.headers["content-length"]],
          ["POST", text, type, length]
        )
      }
      const request = new Request(at("/"), { method: "PUT", body: "x", headers: [["content-type", "a/b"]] })
      const response = yield* Effect.promise(() => fetch(request, { headers: request.headers }))
      const got = seen(yield* Effect.promise(() => response.json()))
      assert.deepStrictEqual([got.method, got.body, got.headers["content-type"]], ["PUT", "x", "a/b"])
      const again = yield* rejection(fetch(request))
      assert.include(nameAndMessage(again), "has been read already")
    })
  )

  it.live("carries bodies of many chunks unchanged, both ways", () =>
    Effect.gen(function* () {
      const { fetch, at } = yield* start()
      const size = 700_001
      const response = yield* Effect.promise(() => fetch(at(`/size/${size}`)))
      const bytes = yield* Effect.promise(() => response.bytes())
      assert.isTrue(Buffer.from(bytes).equals(pattern(size)))
      const sent = yield* Effect.promise(() => fetch(at("/"), { method: "POST", body: pattern(size) }))
      const got = seen(yield* Effect.promise(() => sent.json()))
      assert.strictEqual(got.body, `${size} bytes`)
      assert.strictEqual(got.headers["content-length"], String(size))
    })
  )

  it.live("rejects with a reason and a remedy", () =>
    Effect.gen(function* () {
      const { fetch, at, active } = yield* start({ fetchBytes: 1_000 })
      const hasty = yield* start({ fetchTimeout: "100 millis" })
      assert.strictEqual(
        nameAndMessage(yield* rejection(fetch("http://example.com/"))),
        'TypeError: example.com:80 is not granted; grant it with grants.net: ["example.com:80"]'
      )
      assert.strictEqual(
        nameAndMessage(yield* rejection(hasty.fetch(hasty.at("/silent")))),
        "TimeoutError: the request took longer than 100ms"
      )
      const large = yield* Effect.promise(() => fetch(at("/size/1001")))
      assert.include(nameAndMessage(yield* rejection(large.text())), "is over 1000 bytes")
      const drip = hasty.fetch(hasty.at("/drip")).then((response) => response.text())
      assert.include(nameAndMessage(yield* rejection(drip)), "took longer than 100ms")
      for (const [promise, message] of [
        [fetch("/relative"), "Invalid URL"],
        [fetch(at("/"), { method: "a b" }), "is not a method"],
        [fetch(at("/"), { ...withBody }), "a GET request cannot have a body"],
        [fetch(at("/"), { headers: { "a b": "c" } }), "is not a header name"],
        [fetch(at("/"), { headers: { a: "b\nc" } }), "characters it cannot have"],
        [fetch(at("/"), { headers: { a: "\u0100" } }), "characters it cannot have"],
        [fetch(at("/"), { headers: { a: "x".repeat(200 * kib) } }), "are too long"],
        [fetch(at("/"), { headers: { host: "x" } }), "is set by the host"]
      ] as const) {
        assert.include(nameAndMessage(yield* rejection(promise)), message)
      }
      assert.strictEqual(active(), 0)
    })
  )

  it.live("stops when its signal is aborted", () =>
    Effect.gen(function* () {
      const { fetch, at, active, server, said } = yield* start()
      const aborted = yield* rejection(fetch(at("/"), { signal: AbortSignal.abort(new Error("before")) }))
      assert.strictEqual(nameAndMessage(aborted), "Error: before")
      assert.deepStrictEqual(said, [])

      const waiting = new AbortController()
      const silent = fetch(new Request(at("/silent"), { signal: waiting.signal }))
      setTimeout(() => waiting.abort(), 50)
      assert.include(nameAndMessage(yield* rejection(silent)), "AbortError")
      yield* server.deserted

      const reading = new AbortController()
      const drip = yield* Effect.promise(() => fetch(at("/drip"), { signal: reading.signal }))
      setTimeout(() => reading.abort(new Error("enough")), 50)
      assert.strictEqual(nameAndMessage(yield* rejection(drip.text())), "Error: enough")
      yield* server.deserted
      assert.strictEqual(active(), 0)

      const kept = new AbortController()
      const whole = yield* Effect.promise(() => fetch(at("/seen"), { signal: kept.signal }))
      yield* Effect.promise(() => whole.text())
      assert.strictEqual(getEventListeners(kept.signal, "abort").length, 0)

      const timed = yield* rejection(fetch(at("/silent"), { signal: AbortSignal.timeout(20) }))
      assert.include(nameAndMessage(timed), "TimeoutError")
      yield* server.deserted
    })
  )

  it.live("fails if the body's own stream fails", () =>
    Effect.gen(function* () {
      const { fetch, at, server, active } = yield* start()
      const breaking = async function* () {
        yield "some"
        throw new Error("my own fault")
      }
      const wrong = async function* () {
        yield 42
      }
      const broken = yield* rejection(fetch(at("/"), { method: "POST", body: breaking() }))
      assert.strictEqual(nameAndMessage(broken), "Error: my own fault")
      const odd = yield* rejection(fetch(at("/"), { method: "POST", body: wrong() }))
      assert.include(nameAndMessage(odd), "chunks must be strings")
      yield* server.deserted
      assert.strictEqual(active(), 0)
    })
  )

  it.live("ends with the run", () =>
    Effect.gen(function* () {
      const server = yield* serve(handler)
      const grants = [`127.0.0.1:${server.port}`]
      const scope = yield* Scope.make()
      const guest = yield* connect(grants).pipe(Scope.provide(scope))
      const drip = yield* Effect.promise(() => guest.fetch(`${server.origin}/drip`))
      const silent = guest.fetch(`${server.origin}/silent`)
      const text = drip.text()
      assert.strictEqual(guest.active(), 2)
      guest.reset()
      assert.strictEqual(guest.active(), 0)
      for (const promise of [silent, text]) {
        assert.strictEqual(
          nameAndMessage(yield* rejection(promise)),
          "AbortError: the run that this fetch belonged to is over"
        )
      }
      yield* Scope.close(scope, Exit.void)
      yield* server.deserted
    })
  )

  it.live("works again in the next run", () =>
    Effect.gen(function* () {
      const server = yield* serve(handler)
      let receive: NetSession["receive"] = () => undefined
      const net = makeFetch({
        toBase64,
        fromBase64,
        send: (json) => setImmediate(() => assert.isUndefined(receive(json)))
      })
      for (let run = 0; run < 3; run++) {
        yield* Effect.gen(function* () {
          const session = yield* netSession({
            grants: Result.getOrThrow(parseNetGrants([`127.0.0.1:${server.port}`])),
            limits: { fetchBytes: kib, fetchConcurrency: 4 },
            send: (json) => setImmediate(() => net.receive(json))
          })
          receive = session.receive
          const response = yield* Effect.promise(() => net.fetch(`${server.origin}/seen`))
          assert.strictEqual(response.status, 200)
          // Left behind: its body is never read, and another never answered.
          net.fetch(`${server.origin}/silent`).catch(() => {})
        }).pipe(Effect.scoped)
        net.reset()
      }
      yield* server.deserted
    })
  )
})

describe("bodies", () => {
  it.live("are streams, readable as they arrive", () =>
    Effect.gen(function* () {
      const { fetch, at, server, said } = yield* start()
      const response = yield* Effect.promise(() => fetch(at("/size/300000")))
      const { body } = response
      assert.instanceOf(body, ReadableStream)
      assert.strictEqual(response.body, body)
      let bytes = 0
      yield* Effect.promise(async () => {
        for await (const chunk of body ?? []) bytes += chunk.length
      })
      assert.strictEqual(bytes, 300_000)
      assert.isTrue(response.bodyUsed)
      assert.include(nameAndMessage(yield* rejection(response.text())), "has been read already")

      const drip = yield* Effect.promise(() => fetch(at("/drip")))
      yield* Effect.promise(async () => {
        for await (const chunk of drip.body ?? []) {
          assert.strictEqual(new TextDecoder().decode(chunk), "a start")
          break
        }
      })
      // Leaving the loop cancels the request.
      yield* server.deserted
      assert.include(said.at(-1), '"cancel"')

      const locked = yield* Effect.promise(() => fetch(at("/seen")))
      if (locked.body instanceof ReadableStream) locked.body.getReader()
      assert.include(nameAndMessage(yield* rejection(locked.text())), "has been read already")
    })
  )

  it.live("are async iterables if the engine has no streams", () =>
    Effect.gen(function* () {
      vi.stubGlobal("ReadableStream", undefined)
      vi.resetModules()
      const engine = yield* Effect.promise(() => import("../../src/guest/fetch/makeFetch.ts"))
      vi.unstubAllGlobals()
      const { fetch, at, server } = yield* start(undefined, engine.makeFetch)
      const response = yield* Effect.promise(() => fetch(at("/size/300000")))
      const { body } = response
      assert.notInstanceOf(body, ReadableStream)
      let bytes = 0
      yield* Effect.promise(async () => {
        for await (const chunk of body ?? []) bytes += chunk.length
      })
      assert.strictEqual(bytes, 300_000)
      const drip = yield* Effect.promise(() => fetch(at("/drip")))
      yield* Effect.promise(async () => {
        for await (const _ of drip.body ?? []) break
      })
      yield* server.deserted
    })
  )

  it.live("can be cloned and read twice", () =>
    Effect.gen(function* () {
      const { fetch, at } = yield* start()
      const response = yield* Effect.promise(() => fetch(at("/size/200000")))
      const copy = response.clone()
      const [one, two] = yield* Effect.promise(() => Promise.all([response.bytes(), copy.arrayBuffer()]))
      assert.isTrue(Buffer.from(one).equals(Buffer.from(two)))
      assert.deepStrictEqual([copy.url, copy.status, copy.type], [response.url, 200, "basic"])
      assert.throws(() => response.clone(), "has been read already")
    })
  )
})

describe("the classes", () => {
  it("Headers", () => {
    const headers = new Headers({ "X-B": " 2 ", "x-a": "1" })
    headers.append("x-b", "3")
    assert.strictEqual(headers.get("X-B"), "2, 3")
    assert.strictEqual(headers.get("none"), null)
    assert.deepStrictEqual(
      [...headers],
      [
        ["x-a", "1"],
        ["x-b", "2, 3"]
      ]
    )
    headers.set("X-B", "4")
    headers.delete("X-A")
    assert.isFalse(headers.has("x-a"))
    const copy = new Headers(headers)
    headers.set("x-b", "5")
    assert.deepStrictEqual(Object.fromEntries(copy), { "x-b": "4" })
    assert.deepStrictEqual([...new Headers([["a", "b"]]).keys()], ["a"])
    assert.deepStrictEqual([...new Headers(new Map([["a", "b"]])).values()], ["b"])
    const seen: Array<string> = []
    new Headers({ a: "b" }).forEach((value, name) => seen.push(`${name}=${value}`))
    assert.deepStrictEqual(seen, ["a=b"])
    assert.throws(() => new Headers({ "": "x" }), TypeError)
    assert.throws(() => headers.append("a", "\r\n"[0] + "x\0"), TypeError)
  })

  it("Response", async () => {
    const response = new Response("text", { status: 201, headers: { a: "b" } })
    assert.deepStrictEqual([response.status, response.ok, response.type], [201, true, "default"])
    assert.strictEqual(response.headers.get("content-type"), "text/plain;charset=UTF-8")
    assert.strictEqual(await response.clone().text(), "text")
    assert.strictEqual(await response.text(), "text")
    assert.deepStrictEqual(await Response.json({ a: 1 }).json(), { a: 1 })
    assert.strictEqual(Response.json(1).headers.get("content-type"), "application/json")
    assert.strictEqual(Response.error().type, "error")
    assert.strictEqual(Response.redirect("https://a.test/x", 307).headers.get("location"), "https://a.test/x")
    assert.throws(() => Response.redirect("https://a.test/", 200), RangeError)
    assert.strictEqual(new Response().body, null)
    assert.strictEqual(await new Response(null, { status: 204 }).text(), "")
    assert.strictEqual(await new Response("\ufeffmarked").text(), "marked")
    assert.throws(() => new Response("x", { status: 204 }), TypeError)
    assert.throws(() => new Response("x", { status: 99 }), RangeError)
    const stream = new Response("streamed").body
    assert.strictEqual(await new Response(stream).text(), "streamed")
  })

  it("Request", async () => {
    const request = new Request("https://a.test", { method: "put", body: "x", redirect: "error" })
    assert.deepStrictEqual(
      [request.method, request.url, request.redirect],
      ["PUT", "https://a.test/", "error"]
    )
    assert.isFalse(request.signal?.aborted)
    const copy = request.clone()
    const other = new Request(request, { headers: { a: "b" } })
    assert.isTrue(request.bodyUsed)
    assert.deepStrictEqual([other.method, other.headers.get("a")], ["PUT", "b"])
    assert.strictEqual(await other.text(), "x")
    assert.strictEqual(await copy.text(), "x")
    assert.strictEqual(new Request("https://a.test", { method: "patch" }).method, "patch")
    assert.throws(() => new Request("https://a.test", { ...withBody }), TypeError)
  })
})

describe("a plugin that patches everything", () => {
  type Patch = readonly [target: object, name: string, value: unknown]

  /** Nothing but promises may be waited for meanwhile: this realm is the test's own. */
  const patched = async <A>(patches: ReadonlyArray<Patch>, use: () => Promise<A>): Promise<A> => {
    // The test's runner looks at what the test answered before anything is patched.
    await new Promise(setImmediate)
    const before = patches.map(([target, name]) => Object.getOwnPropertyDescriptor(target, name))
    const { defineProperty, deleteProperty } = Reflect
    for (const [target, name, value] of patches) {
      defineProperty(target, name, { value, configurable: true, writable: true })
    }
    try {
      return await use()
    } finally {
      for (let at = 0; at < patches.length; at++) {
        const [target, name] = patches[at] ?? [{}, ""]
        const descriptor = before[at]
        if (descriptor === undefined) deleteProperty(target, name)
        else defineProperty(target, name, descriptor)
      }
    }
  }
  const evil = (): unknown => {
    throw new Error("patched")
  }

  it("does not change the messages to and from the host", async () => {
    const said: Array<string> = []
    const net = makeFetch({ toBase64, fromBase64, send: (json) => (said[said.length] = json) })
    const head =
      '{"op":"head","id":1,"status":200,"statusText":"OK","headers":[],"url":"u","redirected":false}'
    const text = await patched(
      [
        [String.prototype, "toJSON", () => '"},"op":"cancel'],
        [Object.prototype, "toJSON", () => ({ op: "cancel", id: 1 })],
        [Array.prototype, "toJSON", () => "evil"],
        [JSON, "stringify", () => '{"op":"evil"}'],
        [JSON, "parse", evil],
        [Reflect, "apply", evil],
        [Function.prototype, "call", evil],
        [Function.prototype, "apply", evil],
        [Uint8Array.prototype, "toBase64", () => '","id":99'],
        [Uint8Array, "fromBase64", evil],
        [TextEncoder.prototype, "encode", () => new Uint8Array(3)],
        [TextDecoder.prototype, "decode", () => "decoded by the plugin"],
        [globalThis, "Promise", evil],
        [globalThis, "Uint8Array", evil]
      ],
      async () => {
        const pending = net.fetch("http://a.test", { method: "POST", body: "data", headers: { "x-a": "1" } })
        net.receive('{"op":"more","id":1}')
        for (let turns = 0; turns < 10; turns++) await undefined
        net.receive('{"op":"more","id":1}')
        for (let turns = 0; turns < 10; turns++) await undefined
        net.receive(head)
        net.receive('{"op":"chunk","id":1,"data":"aGVhcmQ="}')
        net.receive('{"op":"end","id":1}')
        return (await pending).text()
      }
    )
    assert.strictEqual(text, "heard")
    assert.deepStrictEqual(said.map(readMessage), [
      {
        op: "open",
        id: 1,
        url: "http://a.test/",
        method: "POST",
        headers: [
          ["x-a", "1"],
          ["content-type", "text/plain;charset=UTF-8"]
        ],
        hasBody: true,
        length: 4,
        redirect: "follow"
      },
      { op: "body", id: 1, data: "ZGF0YQ==" },
      { op: "bodyEnd", id: 1 }
    ])
  })

  it("and so passes the guest's checks is stopped by the host's", async () => {
    const said: Array<string> = []
    const net = makeFetch({ toBase64, fromBase64, send: (json) => (said[said.length] = json) })
    await patched([[RegExp.prototype, "test", () => true]], async () => {
      // Nobody answers these.
      void net.fetch("http://a.test", { headers: { "x-a": "1\r\nx-b: 2" } })
      void net.fetch("http://a.test", { method: "GET / HTTP/1.1\r\n" })
    })
    assert.strictEqual(said.length, 2)
    assert.deepStrictEqual(said.map(readMessage), [undefined, undefined])
  })
})

describe("base64", () => {
  it.effect.prop(
    "encodes as the Web does, and decodes what it has encoded",
    { bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))) },
    ({ bytes }) =>
      Effect.sync(() => {
        const array = Uint8Array.from([0, 0, ...bytes]).subarray(2)
        const text = btoa(String.fromCharCode(...bytes))
        assert.strictEqual(toBase64(array), text)
        assert.deepStrictEqual(fromBase64(text), Uint8Array.from(bytes))
      }),
    { arbitrary: { runs: 300 } }
  )
})
