/** Circuits in a real Redis (`redis-server` on the PATH, or named by AGENTLIP_TEST_REDIS_SERVER), shared by two hubs. */
import { assert, describe, it } from "@effect/vitest"
import {
  type BreakerOptions,
  CircuitBreaker,
  CircuitOpen,
  InvalidBreakerPolicy
} from "@agentlip/plugin-runtime"
import { NodeRedis } from "@effect/platform-node"
import { Cause, Context, Duration, Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import { Redis } from "effect/persistence"
import { TestClock } from "effect/testing"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import * as SharedBreaker from "../src/plugins/SharedBreaker.ts"
import { agentlip, shows } from "./hubProcess.ts"
import { client, eventually, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const program = process.env["AGENTLIP_TEST_REDIS_SERVER"] ?? "redis-server"
const available = spawnSync(program, ["--version"]).status === 0

if (!available) {
  // oxlint-disable-next-line no-console -- a suite that is left out must say so
  console.warn(`Redis: SKIPPED, because ${program} cannot be run (AGENTLIP_TEST_REDIS_SERVER names another)`)
}

const freePort = Effect.promise(async () => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" ? (address?.port ?? 0) : 0
})

const answers = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.on("error", () => resume(Effect.succeed(false)))
  })

const startRedis = (port: number) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
      const server = spawn(program, args, { stdio: "ignore" })
      yield* eventually(answers(port), (up) => up)
      return server
    }),
    (server) =>
      Effect.promise(async () => {
        if (server.exitCode !== null || server.signalCode !== null) return
        const gone = once(server, "exit")
        server.kill("SIGKILL")
        await gone
      })
  )

const cooldown = Duration.millis(1_500)

const breakerAt = (port: number, options: BreakerOptions = { failureThreshold: 3, cooldown }) =>
  Effect.map(
    Layer.build(Layer.fresh(SharedBreaker.layer(Redacted.make(`redis://127.0.0.1:${port}`), options))),
    (services) => Context.get(services, CircuitBreaker)
  )

const makeTwo = Effect.gen(function* () {
  const port = yield* freePort
  const server = yield* startRedis(port)
  const [one, other] = yield* Effect.all([breakerAt(port), breakerAt(port)])
  return { port, server, one, other }
})

const failing = Effect.exit(Effect.fail("broken"))
const fail = (breaker: CircuitBreaker["Service"]) =>
  Effect.exit(breaker.protect("p")(Effect.flatten(failing)))
const succeed = (breaker: CircuitBreaker["Service"]) => breaker.protect("p")(Effect.succeed("fine"))
const refusalOf = <A, E>(run: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(run), (error) => {
    assert.instanceOf(error, CircuitOpen)
    return error
  })

describe.runIf(available)("circuits in Redis", () => {
  it.live("open for both when their failures together reach the threshold, and let one probe through", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      yield* fail(one)
      yield* fail(other)
      assert.strictEqual((yield* one.state("p"))._tag, "Closed")
      yield* succeed(other)
      for (const breaker of [one, other, one]) yield* fail(breaker)
      for (const breaker of [one, other]) {
        assert.strictEqual((yield* breaker.state("p"))._tag, "Open")
        assert.strictEqual((yield* breaker.states).get("p")?._tag, "Open")
        const { retryAfter } = yield* refusalOf(succeed(breaker))
        assert.isAtMost(Duration.toMillis(retryAfter), Duration.toMillis(cooldown))
        yield* refusalOf(breaker.check("p"))
      }
      yield* eventually(Effect.exit(one.check("p")), Exit.isSuccess)
      const probe = yield* one.enter("p", undefined, Date.now())
      yield* refusalOf(succeed(other))
      yield* refusalOf(other.check("p"))
      yield* probe.leave(Exit.succeed("fine"), Date.now())
      assert.strictEqual(yield* succeed(other), "fine")
      assert.strictEqual((yield* other.state("p"))._tag, "Closed")
    })
  )

  it.live("count a crash after a success as a failure, after all that both have seen", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      yield* fail(other)
      yield* fail(other)
      const pass = yield* one.enter("p", undefined, Date.now())
      yield* pass.leave(Exit.succeed("fine"), Date.now())
      assert.deepStrictEqual(yield* other.state("p"), { _tag: "Closed", failures: 0 })
      yield* pass.crashed(Date.now())
      const { _tag, failures } = yield* other.state("p")
      assert.deepStrictEqual([_tag, failures], ["Open", 3])
      // The probe, too.
      yield* eventually(Effect.exit(other.check("p")), Exit.isSuccess)
      const probe = yield* other.enter("p", undefined, Date.now())
      yield* probe.leave(Exit.succeed("fine"), Date.now())
      yield* probe.crashed(Date.now())
      assert.strictEqual((yield* one.state("p"))._tag, "Open")
    })
  )

  it.live("are tripped and reset for both, and each says what it changed", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      const changes = yield* Effect.forkChild(Stream.runCollect(Stream.take(one.changes, 2)))
      yield* Effect.yieldNow
      yield* succeed(one)
      const early = yield* other.enter("p", undefined, Date.now())
      yield* one.trip("p")
      yield* refusalOf(succeed(other))
      yield* one.reset("p")
      assert.strictEqual(yield* succeed(other), "fine")
      // Let in before: it no longer matters.
      yield* early.leave(Exit.fail("late"), Date.now())
      yield* fail(other)
      yield* fail(other)
      assert.strictEqual((yield* one.state("p"))._tag, "Closed")
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(changes), ({ name, from, to }) => [name, from._tag, to._tag]),
        [
          ["p", "Closed", "Open"],
          ["p", "Open", "Closed"]
        ]
      )
    })
  )

  it.live("count no run that was interrupted or never began, and give the probe's place back", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      for (let n = 0; n < 3; n++) yield* Effect.exit(one.protect("p")(Effect.interrupt))
      assert.strictEqual((yield* one.state("p"))._tag, "Closed")
      for (let n = 0; n < 3; n++) yield* fail(one)
      yield* eventually(Effect.exit(one.check("p")), Exit.isSuccess)
      yield* Effect.exit(one.protect("p")(Effect.interrupt))
      assert.strictEqual(yield* succeed(other), "fine")
    })
  )

  it.live("lose no failure among many at once, and each hub sees the count of both", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      const policy = { failureThreshold: 61, cooldown: "1 minute" } as const
      const failing = [one, other].flatMap((breaker) =>
        Array.from({ length: 30 }, () => Effect.exit(breaker.protect("p", policy)(Effect.fail("broken"))))
      )
      yield* Effect.all(failing, { concurrency: "unbounded" })
      for (const breaker of [one, other]) {
        assert.deepStrictEqual(yield* breaker.state("p"), { _tag: "Closed", failures: 60 })
      }
      yield* Effect.exit(one.protect("p", policy)(Effect.fail("broken")))
      assert.deepInclude(yield* other.state("p"), { _tag: "Open", failures: 61 })
    })
  )

  it.live("let one of many in after the cooldown, from whichever hub they come", () =>
    Effect.gen(function* () {
      const { one, other } = yield* makeTwo
      yield* one.trip("p")
      yield* eventually(Effect.exit(one.check("p")), Exit.isSuccess)
      const asking = [one, other].flatMap((breaker) =>
        Array.from({ length: 20 }, () => Effect.exit(breaker.enter("p", undefined, Date.now())))
      )
      const answers = yield* Effect.all(asking, { concurrency: "unbounded" })
      assert.lengthOf(answers.filter(Exit.isSuccess), 1)
    })
  )

  it.live("give the place of a probe away whose hub has been gone for a minute", () =>
    Effect.gen(function* () {
      const { port, one, other } = yield* makeTwo
      yield* one.trip("p")
      yield* eventually(Effect.exit(one.check("p")), Exit.isSuccess)
      yield* one.enter("p", undefined, Date.now())
      yield* refusalOf(succeed(other))
      const services = yield* Layer.build(NodeRedis.layer({ url: `redis://127.0.0.1:${port}` }))
      const redis = Context.get(services, Redis.Redis)
      const kept = JSON.parse(yield* redis.send<string>("GET", "agentlip:breaker:p"))
      kept.state.since -= 61_000
      yield* redis.send("SET", "agentlip:breaker:p", JSON.stringify(kept))
      assert.strictEqual(yield* succeed(other), "fine")
      assert.strictEqual((yield* one.state("p"))._tag, "Closed")
    })
  )

  it.live("refuse a policy that cannot be followed, as those in memory do", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* startRedis(port)
      const dies = <A, E>(exit: Exit.Exit<A, E>) =>
        assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, InvalidBreakerPolicy)
      dies(yield* Effect.exit(breakerAt(port, { failureThreshold: 0 })))
      const breaker = yield* breakerAt(port)
      dies(yield* Effect.exit(breaker.protect("p", { cooldown: 0 })(Effect.die("must not run"))))
    })
  )

  it.effect("agree on times though the clocks of their hubs differ", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* TestClock.withLive(startRedis(port))
      const long = { failureThreshold: 1, cooldown: "1 hour" } as const
      const [one, other] = yield* Effect.all([breakerAt(port, long), breakerAt(port, long)])
      yield* one.trip("p")
      // Both read the test's clock, which is some fifty years behind Redis's, and is moved for the other alone.
      yield* TestClock.adjust("3 hours")
      const { retryAfter } = yield* refusalOf(succeed(other))
      assert.isAtMost(Duration.toMinutes(retryAfter), 60)
      assert.isAtLeast(Duration.toMinutes(retryAfter), 55)
    })
  )

  it.live("let everything through while Redis is away, and count again when it is back", () =>
    Effect.gen(function* () {
      const { port, server, one } = yield* makeTwo
      yield* one.trip("p")
      yield* refusalOf(succeed(one))
      const gone = once(server, "exit")
      server.kill("SIGKILL")
      yield* Effect.promise(() => gone)
      for (let n = 0; n < 5; n++) yield* fail(one)
      assert.strictEqual(yield* succeed(one), "fine")
      yield* startRedis(port)
      yield* eventually(Effect.andThen(one.trip("p"), one.state("p")), ({ _tag }) => _tag === "Open")
      yield* refusalOf(succeed(one))
    })
  )

  it.live(
    "are those of two hubs' plugins",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        yield* startRedis(port)
        const up = Effect.gen(function* () {
          const workspace = yield* tempWorkspace
          fs.writeFileSync(
            path.join(workspace, "agentlip.config.ts"),
            'export default { linkifiers: [{ name: "sick", modulePath: "./sick.ts", isolation: "thread" }] }'
          )
          fs.writeFileSync(
            path.join(workspace, "sick.ts"),
            'export default { name: "sick", version: "1", enrich: () => { throw new Error("sick") } }'
          )
          const hub = yield* agentlip("up", "--workspace", workspace, "--redis", `redis://127.0.0.1:${port}`)
          yield* shows(hub, "linkifier sick")
          const { port: at, auth_token } = readServerFile(workspace)
          return client(`http://127.0.0.1:${at}`, auth_token)
        })
        const [one, other] = yield* Effect.all([up, up], { concurrency: 2 })
        const { topic } = yield* makeTopic(one)
        for (let n = 0; n < 3; n++) {
          yield* one.post("/api/v1/messages", { topic_id: topic, sender: "ana", content_raw: `no ${n}` })
        }
        for (const hub of [one, other]) {
          yield* eventually(
            hub.get("/api/v1/plugins/sick"),
            ({ body }) => body.plugin.circuit.state === "open"
          )
        }
      }),
    60_000
  )

  it.live(
    "are refused at the start where Redis is not there, without the password",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        for (const [url, reason] of [
          ["redis://u:sekret@127.0.0.1:1", /cannot use Redis: .*ECONNREFUSED/],
          ["sekret", /cannot use Redis: the URL cannot be read/]
        ] as const) {
          const up = yield* agentlip("up", "--workspace", workspace, "--redis", url)
          assert.strictEqual(yield* Effect.promise(() => up.ended), 1)
          assert.match(up.output(), reason)
          assert.notInclude(up.output(), "sekret")
        }
      }),
    30_000
  )
})
