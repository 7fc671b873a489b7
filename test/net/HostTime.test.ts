/** Servers that send what is most expensive to receive do not stop the host's event loop, nor other plugins. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { linkifier } from "../../src/PluginKinds.ts"
import { makeTraffic } from "../../src/net/NetSession.ts"
import { makeResolver } from "../../src/net/resolve.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { goodPath } from "../support/meeting.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { serve, serveRaw, startSession } from "../support/net.ts"
import { failing, temporary, write } from "../support/plugins.ts"

/** A server of the zoo's, in a thread of its own: what it takes to send must not count here. */
const bait = new Worker(new URL("../support/bait.ts", import.meta.url), { workerData: { trap: 1 } })
let target = ""
beforeAll(async () => {
  const [port] = await once(bait, "message")
  target = `127.0.0.1:${port}`
})
afterAll(() => bait.terminate())

const cpu = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/**
 * The most processor time that passed between two ticks while the effect ran, in milliseconds: time in which no timer
 * was served. Time of a clock would count what else the machine was at.
 */
const longestStall = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    let last = cpu()
    let longest = 0
    const timer = setInterval(() => {
      const now = cpu()
      longest = Math.max(longest, now - last)
      last = now
    }, 1)
    const value = yield* Effect.ensuring(
      effect,
      Effect.sync(() => clearInterval(timer))
    )
    return { value, longest }
  })

/** Twenty would be it; what is compiled and collected meanwhile may take as long again, and more. */
const mostStall = 80

/** What is said of a server that answers like this. */
const ends: ReadonlyArray<readonly [path: string, error: RegExp]> = [
  ["/continues", /more than 8 interim responses/],
  ["/hints", /more than 8 interim responses/],
  ["/crumbs", /over 5242880 bytes|more than twice the bytes|more than 500 ms of the host's processor time/],
  ["/extensions", /more than twice the bytes|HPE_CHUNK_EXTENSIONS_OVERFLOW|processor time/],
  ["/trailers", /headers of 127\.0\.0\.1:\d+'s response are over|HPE_HEADER_OVERFLOW/],
  ["/head", /the headers of 127\.0\.0\.1:\d+'s response are over 16384 bytes/],
  ["/burdened", /more than 10 redirects/],
  ["/brotli", /encoded as "br"/],
  ["/bomb", /over 5242880 bytes/],
  ["/endless", /over 5242880 bytes/]
]

/** What a reader without budgets takes of a response: bytes until they are enough, or all there are. */
const readRaw = (path: string, enough: number) =>
  Effect.callback<string>((resume) => {
    const [host, port] = target.split(":")
    const socket = connect({ host, port: Number(port) })
    let text = ""
    socket.setEncoding("latin1")
    socket.on("data", (data) => {
      text += data
      if (text.length >= enough) socket.destroy()
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.write(`GET ${path} HTTP/1.1\r\nhost: ${target}\r\n\r\n`)
    return Effect.sync(() => socket.destroy())
  })

/** Far more than what the broker allows of it: 16 KiB of headers, 8 interim responses, none of a redirect's body. */
const flooding: ReadonlyArray<readonly [path: string, again: string]> = [
  ["/continues", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["/trailers", "x: y\r\n"],
  ["/head", "x: y\r\n"],
  ["/burdened", "more than anybody reads "]
]

describe("a server's flood", () => {
  it.live.each(flooding)("of %s goes on as long as anybody reads", ([path, again]) =>
    Effect.gen(function* () {
      const enough = 8 * 1024 * 1024
      const text = yield* readRaw(path, enough)
      assert.isAtLeast(text.length, enough)
      assert.isAbove(text.split(again).length, 100_000)
    })
  )
})

describe("a response", () => {
  it.live.each(ends)("of %s ends without keeping the host's loop", ([path, expected]) =>
    Effect.gen(function* () {
      const guest = yield* startSession({ grants: [target] })
      const { value, longest } = yield* longestStall(
        Effect.all(
          [1, 2, 3, 4].map(() => guest.get(`http://${target}${path}`)),
          {
            concurrency: "unbounded"
          }
        )
      )
      for (const { error } of value) assert.match(error ?? "no error", expected)
      assert.isBelow(longest, mostStall)
    })
  )

  it.live("ignores what follows it", () =>
    Effect.gen(function* () {
      const guest = yield* startSession({ grants: [target] })
      const { value, longest } = yield* longestStall(guest.get(`http://${target}/junk`))
      assert.isUndefined(value.error)
      assert.strictEqual(value.head?.status, 200)
      assert.isBelow(longest, mostStall)
    })
  )

  it.live("in single bytes reaches the plugin in larger pieces", () =>
    Effect.gen(function* () {
      const guest = yield* startSession({ grants: [target], limits: { fetchBytes: 100_000 } })
      const { value, longest } = yield* longestStall(guest.get(`http://${target}/drip`))
      assert.match(value.error ?? "", /over 100000 bytes|processor time/)
      const chunks = guest.heard.filter(({ op }) => op === "chunk").length
      assert.isBelow(chunks, 20_000)
      assert.isBelow(longest, mostStall)
    })
  )

  it.live("that never ends leaves other plugins' requests their turns", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end("hello"))
      const hostile = yield* startSession({ grants: [target] })
      const good = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const ids = ["/crumbs", "/drip", "/crumbs", "/drip"].map((path) =>
        hostile.open(`http://${target}${path}`)
      )
      yield* Effect.forEach(ids, (id) => hostile.wait(id, "chunk"))
      for (let n = 0; n < 20; n++) {
        const { body } = yield* good.get(server.origin)
        assert.strictEqual(body.toString(), "hello")
      }
    })
  )
})

describe("a run's budget", () => {
  it.live("ends requests that never end by themselves; the next run has its own budget", () =>
    Effect.gen(function* () {
      const traffic = makeTraffic(4)
      const options = { grants: [target], limits: { fetchBytes: 1e9 }, traffic }
      const guest = yield* startSession(options)
      const { value, longest } = yield* longestStall(guest.get(`http://${target}/crumbs`))
      const spent = "the requests of this run took more than 500 ms of the host's processor time"
      assert.strictEqual(value.error, `TypeError: ${spent}`)
      assert.isBelow(longest, mostStall)
      const after = yield* guest.get(`http://${target}/`)
      assert.strictEqual(after.error, `TypeError: ${spent}`)
      const next = yield* startSession(options)
      const { body } = yield* next.get(`http://${target}/`)
      assert.strictEqual(body.toString(), "hello")
    })
  )

  it.live("allows 500 requests, redirects included", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* serve((_, response) => {
        requests++
        response.writeHead(302, { location: "/again" }).end()
      })
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      let error: string | undefined
      for (let n = 0; n < 60 && error?.includes("one run") !== true; n++) {
        ;({ error } = yield* guest.get(server.origin))
      }
      assert.match(
        error ?? "",
        /one run cannot make more than 500 requests, redirects included|processor time/
      )
      assert.isAtMost(requests, 500)
    })
  )

  it.live("ends an isolate that keeps sending messages after it is used up", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => {})
      const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
      const id = guest.open(server.origin)
      const pull = JSON.stringify({ op: "pull", id })
      let violation: string | undefined
      for (let n = 0; n < 10_000_000 && violation === undefined; n++) violation = guest.session.receive(pull)
      assert.strictEqual(violation, "fetch messages although the run's requests had taken all their time")
      yield* guest.wait(id, "error")
      yield* server.deserted
    })
  )
})

/** Takes every question and answers none. */
const silentNameServer = Effect.acquireRelease(
  Effect.callback<{ readonly address: string; readonly questions: () => number; readonly close: () => void }>(
    (resume) => {
      let questions = 0
      const socket = createSocket("udp4", () => {
        questions++
      })
      socket.bind(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            address: `127.0.0.1:${socket.address().port}`,
            questions: () => questions,
            close: () => socket.close()
          })
        )
      )
    }
  ),
  ({ close }) => Effect.sync(close)
)

describe("look-ups without an answer", () => {
  it.live("do not delay other plugins', and end with their run", () =>
    Effect.gen(function* () {
      const names = yield* silentNameServer
      const server = yield* serve((_, response) => response.end("hello"))
      const resolve = makeResolver({ nameServers: [names.address], resolverFile: "/nowhere" })
      let open = 0
      yield* Effect.gen(function* () {
        const dead = yield* startSession({
          grants: ["*.dead.test:80"],
          resolve: (host, signal) => {
            open++
            return resolve(host, signal).finally(() => open--)
          }
        })
        for (let n = 0; n < 20; n++) dead.open(`http://n${n}.dead.test/`)
        yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => names.questions() >= 8 })
        // Each for both kinds of addresses.
        assert.strictEqual(open, 4)
        const good = yield* startSession({ grants: [`localhost:${server.port}`] })
        for (let n = 0; n < 5; n++) {
          const { body, error } = yield* good.get(`http://localhost:${server.port}/`)
          assert.isUndefined(error)
          assert.strictEqual(body.toString(), "hello")
        }
        assert.deepStrictEqual(dead.heard, [])
      }).pipe(Effect.scoped)
      yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => open === 0 })
    })
  )
})

describe("a server that accepts and says nothing", () => {
  it.live.each(["http", "https"])("has no connection left after the run: %s", (scheme) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(createServer((socket) => socket.resume()))
      yield* Effect.gen(function* () {
        const guest = yield* startSession({ grants: [`127.0.0.1:${server.port}`] })
        const url = `${scheme}://127.0.0.1:${server.port}/`
        guest.open(url)
        guest.open(url, { method: "POST", body: ["x".repeat(60_000)] })
        yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => server.open() === 2 })
      }).pipe(Effect.scoped)
      yield* server.deserted
    })
  )
})

const rogue = `
  export default {
    name: "rogue", version: "1.0.0",
    async enrich({ config }, { fetch }) {
      await Promise.allSettled(config.urls.map(async (url) => (await fetch(url)).arrayBuffer()))
      return new Promise(() => {})
    }
  }`

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`On ${level.name}`, () => {
    it.live("a plugin whose servers flood it ends at its deadline, and others run meanwhile", () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const runtime = yield* PluginRuntime
        const good = specOn(level, { name: "good", kind: linkifier, modulePath: goodPath })
        const bad = specOn(level, {
          name: "rogue",
          kind: linkifier,
          modulePath: write(path.join(folder, "rogue.mjs"), rogue),
          timeout: "600 millis",
          limits: { fetchBytes: 1e9 },
          config: {
            urls: ["/crumbs", "/hints", "/drip", "/crumbs"].map((path) => `http://${target}${path}`)
          },
          grants: { net: [target] }
        })
        yield* runtime.load(bad)
        yield* runtime.run(good, { message })
        const { longest } = yield* longestStall(
          Effect.gen(function* () {
            const doomed = yield* Effect.forkChild(failing(runtime.run(bad, { message }), "TIMEOUT"))
            let runs = 0
            while (doomed.pollUnsafe() === undefined) {
              yield* runtime.run(good, { message })
              runs++
            }
            yield* Fiber.join(doomed)
            assert.isAbove(runs, 5)
          })
        )
        assert.isBelow(longest, mostStall)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
