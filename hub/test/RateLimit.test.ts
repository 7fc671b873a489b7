import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { type Answer, client, readServerFile, startHub, tempWorkspace } from "./testHub.ts"
import { agentlip, shows } from "./hubProcess.ts"

const tooMany = ({ status, body, headers }: Answer): void => {
  assert.strictEqual(status, 429, JSON.stringify(body))
  assert.strictEqual(body.code, "RATE_LIMITED")
  assert.strictEqual(headers.get("retry-after"), "1")
  assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
}

// The hub's clock stands still unless a test moves it, so that what is counted does not depend on the machine.
describe("requests", () => {
  it.effect("of one client are limited, and taken again in time", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 2 } })
      const ask = hub.request("GET", "/api/v1/channels")
      const status = Effect.map(ask, (answer) => answer.status)
      assert.deepStrictEqual(yield* Effect.all([status, status]), [200, 200])
      tooMany(yield* ask)
      // What was refused does not count.
      tooMany(yield* ask)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* status, 200)
      tooMany(yield* ask)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Effect.all([status, status]), [200, 200])
      tooMany(yield* ask)
    })
  )

  it.effect("without the hub's token do not use up those with it, however many tokens there are", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 2 } })
      assert.strictEqual((yield* hub.get("/api/v1/channels")).status, 200)
      assert.strictEqual((yield* hub.post("/api/v1/channels", {}, { token: "wrong" })).status, 401)
      tooMany(yield* hub.post("/api/v1/channels", {}, { token: "wrong too" }))
      tooMany(yield* hub.get("/nothing"))
      assert.strictEqual((yield* hub.post("/api/v1/channels", { name: "x" })).status, 201)
      assert.strictEqual((yield* hub.post("/api/v1/channels", { name: "y" })).status, 201)
      tooMany(yield* hub.post("/api/v1/channels", { name: "z" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* hub.get("/api/v1/channels")).body.channels.length, 2)
    })
  )

  it.effect("of all clients together are limited", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 3, total: 4 } })
      const statuses = (token: string | null, count: number) =>
        Effect.forEach(Array.from({ length: count }), () =>
          Effect.map(hub.request("GET", "/api/v1/channels", undefined, { token }), ({ status }) => status)
        )
      assert.deepStrictEqual(yield* statuses(hub.token, 4), [200, 200, 200, 429])
      assert.deepStrictEqual(yield* statuses(null, 2), [200, 429])
    })
  )

  it.effect("are taken as before when the wall clock is set back an hour", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let setBack = 0
      const wall = Clock.Clock.of({
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - setBack,
        currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() - setBack)
      })
      const hub = yield* startHub({ rateLimits: { perClient: 2 } }).pipe(
        Effect.provideService(Clock.Clock, wall)
      )
      const ask = hub.get("/api/v1/channels")
      const status = Effect.map(ask, (answer) => answer.status)
      assert.deepStrictEqual(yield* Effect.all([status, status]), [200, 200])
      setBack = 3_600_000
      tooMany(yield* ask)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.all([status, status]), [200, 200])
      tooMany(yield* ask)
      const { body } = yield* hub.get("/health")
      assert.strictEqual(body.uptime_seconds, 1)
    })
  )

  it.effect("for the hub's health are not limited, and use up nothing", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 1, total: 1 } })
      const statuses = (path: string) =>
        Effect.forEach([1, 2, 3], () => Effect.map(hub.get(path), ({ status }) => status))
      assert.deepStrictEqual(yield* statuses("/health"), [200, 200, 200])
      assert.deepStrictEqual(yield* statuses("/api/v1/channels"), [200, 429, 429])
      assert.deepStrictEqual(yield* statuses("/health?x"), [200, 200, 200])
      assert.deepStrictEqual(yield* statuses("/healthy"), [429, 429, 429])
    })
  )

  it.effect("are a hundred a second of a client if nothing is said", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: {} })
      const answers = yield* Effect.forEach(Array.from({ length: 101 }), () => hub.get("/api/v1/channels"))
      assert.strictEqual(answers.filter(({ status }) => status === 200).length, 100)
    })
  )

  it.effect("are not limited where limits are switched off", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: false })
      const answers = yield* Effect.forEach(Array.from({ length: 150 }), () => hub.get("/api/v1/channels"))
      assert.isTrue(answers.every(({ status }) => status === 200))
    })
  )

  for (const limit of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    it.live(`cannot be limited to ${limit} a second`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(startHub({ rateLimits: { total: limit } }))
        assert.strictEqual(error._tag, "RateLimitRefused")
        assert.include(error.message, String(limit))
      })
    )
  }
})

describe("agentlip up --rate-limit", () => {
  it.live(
    "sets the limit",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const hub = yield* agentlip("up", "--workspace", workspace, "--rate-limit", "1")
        yield* shows(hub, "Plugins (")
        const { host, port, auth_token } = readServerFile(workspace)
        const api = client(`http://${host}:${port}`, auth_token)
        // In one second, however slow the machine, 40 requests at once are more than it lets through.
        const answers = yield* Effect.all(
          Array.from({ length: 40 }, () => api.get("/api/v1/channels")),
          { concurrency: "unbounded" }
        )
        assert.include(
          answers.map(({ status }) => status),
          429
        )
        const bad = yield* agentlip("up", "--workspace", yield* tempWorkspace, "--rate-limit", "-1")
        assert.strictEqual(yield* Effect.promise(() => bad.ended), 1)
        assert.notMatch(bad.output(), /\n +at /)
      }),
    60_000
  )
})
