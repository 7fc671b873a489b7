/** What live events owe to time; the clock is the test's, the sockets are real. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { setTimeout } from "node:timers/promises"
import { connect, hello } from "./socketClient.ts"
import { startHub } from "./testHub.ts"

/** Lets real time pass, in which sockets do what they have to. */
const realMoment = Effect.promise(() => setTimeout(20))

/** Moves the clock on in steps until it has happened; answers the seconds that took, at most a minute. */
const secondsUntil = Effect.fnUntraced(function* (happened: () => boolean) {
  yield* realMoment
  for (let seconds = 0; seconds <= 60; seconds++) {
    for (let look = 0; look < 5; look++) {
      if (happened()) return seconds
      yield* realMoment
    }
    yield* TestClock.adjust("1 second")
  }
  return Number.POSITIVE_INFINITY
})

it.effect("A socket that says nothing for 10 seconds is closed with 1003, one that said hello is not", () =>
  Effect.gen(function* () {
    const hub = yield* startHub()
    const silent = yield* connect(hub)
    const said = yield* connect(hub, hello(0))
    const { CLOSED, OPEN } = silent.ws
    const seconds = yield* secondsUntil(() => silent.ws.readyState === CLOSED)
    assert.deepStrictEqual(yield* silent.closed, { code: 1003, reason: "no hello" })
    assert.isAtLeast(seconds, 10)
    assert.isAtMost(seconds, 11)
    assert.strictEqual(said.ws.readyState, OPEN)
  })
)

it.effect("An event stream on which nothing happens has a comment every 15 seconds", () =>
  Effect.gen(function* () {
    const hub = yield* startHub()
    let text = ""
    const asked = new AbortController()
    yield* Effect.addFinalizer(() => Effect.sync(() => asked.abort()))
    const { body } = yield* Effect.promise(() =>
      fetch(`${hub.url}/api/v1/events/stream`, { signal: asked.signal })
    )
    const read = async () => {
      for await (const part of body ?? []) text += new TextDecoder().decode(part)
    }
    // It ends with the request, which the test ends.
    void read().catch(() => {})
    const comments = (count: number) => secondsUntil(() => text.split(": still here\n\n").length > count)
    const first = yield* comments(1)
    assert.isAtLeast(first, 15)
    assert.isAtMost(first, 16)
    const second = yield* comments(2)
    assert.isAtLeast(second, 14)
    assert.isAtMost(second, 16)
    assert.strictEqual(text, "retry: 1000\n\n: still here\n\n: still here\n\n")
  })
)
