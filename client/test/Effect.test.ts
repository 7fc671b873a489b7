/** The client as Effects and Streams, against a real hub. */
import { HubClient, HubError, make } from "@agentlip/client/Effect"
import { workspaceAddress } from "@agentlip/client/Node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { eventually, startHub, tempWorkspace } from "../../hub/test/testHub.ts"

describe("The client as Effects", () => {
  it.live("calls, and fails with the protocol's errors by their codes", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* startHub({ workspace })
      const program = Effect.gen(function* () {
        const hub = yield* HubClient
        const { channel } = yield* hub.api.writes.createChannel({ payload: { name: "general" } })
        const { topic } = yield* hub.api.writes.createTopic({
          payload: { channel_id: channel.id, title: "first" }
        })
        const payload = { topic_id: topic.id, sender: "ada", content_raw: "hello" }
        const { message } = yield* hub.api.writes.createMessage({ payload })
        const read = yield* hub.api.reads.message({ params: { id: message.id } })
        assert.deepStrictEqual(read.message, message)
        const missing = yield* hub.api.reads
          .message({ params: { id: "none" } })
          .pipe(Effect.catchTag("NOT_FOUND", ({ error }) => Effect.succeed(error)))
        assert.match(String(missing), /"none"/)
        const conflict = yield* hub.api.writes
          .changeMessage({
            params: { id: message.id },
            payload: { op: "edit", content_raw: "x", expected_version: 7 }
          })
          .pipe(Effect.catchTag("VERSION_CONFLICT", ({ details }) => Effect.succeed(details.current)))
        assert.strictEqual(conflict, 1)
      })
      yield* Effect.provide(program, HubClient.layer(workspaceAddress({ workspace })))
    })
  )

  it.live("decodes the errors that any call can return", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ rateLimits: { perClient: 1, total: 1_000 } })
      const { api } = yield* make(workspaceAddress({ workspace: hub.workspace }))
      const codes = yield* Effect.forEach(
        [1, 2, 3],
        () =>
          api.reads.channels({ query: {} }).pipe(
            Effect.as("ok"),
            Effect.catchTag("RATE_LIMITED", ({ error }) => Effect.succeed(error))
          ),
        { concurrency: 3 }
      )
      assert.includeMembers(codes.map(String), ["Too many requests; try again in 1 s"])
      const foreign = yield* make(() => ({ url: hub.url.replace("127.0.0.1", "127.0.0.2") }))
      const refused = yield* Effect.flip(foreign.api.health.health({ query: {} }))
      assert.instanceOf(refused, HubError)
    })
  )

  it.live("follows events through a restart, and ends with its scope", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const first = yield* Scope.make()
      const begun = yield* Scope.provide(startHub({ workspace }), first)
      yield* begun.post("/api/v1/channels", { name: "one" })
      const { follow } = yield* make(workspaceAddress({ workspace }))
      const seen: Array<number> = []
      const states: Array<string> = []
      const following = yield* follow({ after: 0, onConnection: (state) => states.push(state) }).pipe(
        Stream.runForEach(({ event_id }) => Effect.sync(() => seen.push(event_id))),
        Effect.forkScoped
      )
      yield* eventually(
        Effect.sync(() => seen.length),
        (count) => count === 1
      )
      yield* Scope.close(first, Exit.void)
      const second = yield* startHub({ workspace })
      yield* second.post("/api/v1/channels", { name: "two" })
      yield* eventually(
        Effect.sync(() => seen.length),
        (count) => count === 2
      )
      assert.deepStrictEqual(seen, [1, 2])
      assert.includeMembers(states, ["open", "lost"])
      // The stream is idle, so the interruption must end the read that waits for the next event.
      yield* Fiber.interrupt(following)
    })
  )

  it.live("fails if the hub comes back with another database", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const other = yield* startHub()
      const life = yield* Scope.make()
      const first = yield* Scope.provide(startHub({ workspace }), life)
      yield* first.post("/api/v1/channels", { name: "one" })
      let current = first
      const { follow } = yield* make(() => ({ url: current.url, token: current.token }))
      const seen: Array<number> = []
      const following = yield* follow({ after: 0 }).pipe(
        Stream.runForEach(({ event_id }) =>
          Effect.sync(() => {
            seen.push(event_id)
            current = other
          })
        ),
        Effect.flip,
        Effect.forkScoped
      )
      yield* eventually(
        Effect.sync(() => seen.length),
        (count) => count === 1
      )
      yield* Scope.close(life, Exit.void)
      const error = yield* Fiber.join(following)
      assert.strictEqual(error.code, "OTHER_DATABASE")
      assert.deepStrictEqual(seen, [1])
    })
  )
})
