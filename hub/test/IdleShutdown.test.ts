/** When a hub without use stops. LifeCycle.test.ts stops real ones. */
import { linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import { connect as dial } from "node:net"
import * as path from "node:path"
import { flagsOf } from "../src/cli/up/Detach.ts"
import * as OutputFile from "../src/cli/up/OutputFile.ts"
import { Activity } from "../src/http/Activity.ts"
import { whenIdle } from "../src/Hub.ts"
import { connect, hello } from "./socketClient.ts"
import { eventually, makeTopic, startHub, tempWorkspace } from "./testHub.ts"

/** Lets what waits for real events go on, however the clock stands. */
const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))

describe("a client", () => {
  it.live("is there while a request, a stream or a socket is open; a health check is none", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { idleMillis } = Context.get(hub.services, Activity)
      const isThere = eventually(idleMillis, (millis) => millis === 0)
      const isGone = eventually(idleMillis, (millis) => millis > 0)
      yield* isGone
      const { port } = new URL(hub.url)
      const request = dial(Number(port), "127.0.0.1")
      const headers = `host: localhost\r\nauthorization: Bearer ${hub.token}\r\ncontent-length: 5`
      request.write(`POST /api/v1/channels HTTP/1.1\r\n${headers}\r\n\r\n{`)
      yield* isThere
      request.destroy()
      yield* isGone

      const stop = new AbortController()
      yield* Effect.promise(() => fetch(`${hub.url}/api/v1/events/stream`, { signal: stop.signal }))
      yield* isThere
      stop.abort()
      yield* isGone

      const socket = yield* connect(hub, hello(0))
      yield* isThere
      socket.ws.close()
      yield* isGone

      const before = yield* idleMillis
      yield* hub.get("/health?x")
      assert.isAtLeast(yield* idleMillis, before)
      yield* hub.get("/api/v1/channels")
      yield* eventually(idleMillis, (millis) => millis > 0 && millis < before + 10_000)
    })
  )
})

describe("whenIdle", () => {
  it.effect("returns when no client was there for so long, and no job is open", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const hub = yield* startHub({
        plugins: [
          makeSpec({ name: "slow", kind: linkifier, modulePath: "/fake/slow.ts", timeout: "1 hour" })
        ],
        fakes: { slow: () => Effect.as(Deferred.await(go), []) }
      })
      const { topic } = yield* makeTopic(hub)
      yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw: "hello" })
      let clientUntil = 0
      const now = Clock.currentTimeMillis
      const activity = Activity.of({
        watch: (server) => server,
        idleMillis: Effect.map(now, (millis) => Math.max(0, millis - clientUntil))
      })
      const fiber = yield* Effect.forkChild(
        Effect.provideContext(whenIdle(Duration.seconds(10)), Context.add(hub.services, Activity, activity))
      )
      const pass = (seconds: number) =>
        Effect.forEach(
          Array.from({ length: seconds }),
          () => Effect.andThen(TestClock.adjust("1 second"), turn),
          { discard: true }
        )
      const isOver = Effect.sync(() => fiber.pollUnsafe() !== undefined)
      // The client is there for 8 seconds.
      clientUntil = 8_000
      yield* pass(17)
      assert.isFalse(yield* isOver)
      // The job is open.
      yield* pass(10)
      assert.isFalse(yield* isOver)
      yield* Deferred.succeed(go, undefined)
      for (let round = 0; round < 200 && !(yield* isOver); round++) yield* pass(1)
      yield* Fiber.join(fiber)
    })
  )
})

describe("agentlip up --detach", () => {
  it("gives its flags to the command in the background, but those of its own", () => {
    assert.deepStrictEqual(flagsOf(["up", "--detach", "--port", "4000"]), ["--port", "4000"])
    assert.deepStrictEqual(flagsOf(["-w", "up", "--json", "up", "--detach=true", "--otlp", "up"]), [
      "--otlp",
      "up"
    ])
    assert.deepStrictEqual(flagsOf(["up", "--workspace=a", "--trust", "--read-auth"]), ["--read-auth"])
  })

  it.live("keeps the end of an output file that grew too large, and goes on in it", () =>
    Effect.gen(function* () {
      const file = path.join(yield* tempWorkspace, "up.log")
      const descriptor = fs.openSync(file, "a", 0o600)
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.closeSync(descriptor)))
      fs.writeSync(descriptor, "x".repeat(OutputFile.mostBytes))
      OutputFile.shorten(file, descriptor)
      assert.strictEqual(fs.statSync(file).size, OutputFile.mostBytes)
      fs.writeSync(descriptor, "the end")
      OutputFile.shorten(file, descriptor)
      assert.strictEqual(fs.statSync(file).size, 0)
      const kept = fs.readFileSync(`${file}.1`, "utf8")
      assert.isTrue(kept.endsWith("xthe end") && kept.length < OutputFile.mostBytes)
      assert.strictEqual(fs.statSync(`${file}.1`).mode & 0o777, 0o600)
      fs.writeSync(descriptor, "more")
      assert.strictEqual(fs.readFileSync(file, "utf8"), "more")
    })
  )
})
