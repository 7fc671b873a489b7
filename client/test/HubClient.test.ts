/** The promise client against a real hub. */
import type { LiveEvent } from "@agentlip/client"
import { isEvent, makeHubClient } from "@agentlip/client"
import { workspaceAddress } from "@agentlip/client/Node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import { startHub, tempWorkspace } from "../../hub/test/testHub.ts"
import { routesFile } from "../../scripts/routes.ts"
import { rejection } from "./rejection.ts"

const addressIn = (workspace: string) => workspaceAddress({ workspace })

const startIn = (workspace: string, scope: Scope.Scope) => Scope.provide(startHub({ workspace }), scope)

describe("The client", () => {
  it("has the routes of the protocol", () => {
    const file = new URL("../src/routes.ts", import.meta.url)
    assert.strictEqual(fs.readFileSync(file, "utf8"), routesFile())
  })

  it.live("calls, with typed answers, and rejects with the hub's refusals", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* startHub({ workspace })
      const hub = makeHubClient(addressIn(workspace))
      const all = yield* Effect.promise(async () => {
        const { channel } = await hub.createChannel({ payload: { name: "general", description: null } })
        const { topic } = await hub.createTopic({ payload: { channel_id: channel.id, title: "a & b/c?" } })
        const post = { topic_id: topic.id, sender: "ada", content_raw: "hello" }
        const { message } = await hub.createMessage({ payload: post }, { idempotencyKey: "key-0001" })
        const again = await hub.createMessage({ payload: post }, { idempotencyKey: "key-0001" })
        const { topics } = await hub.topics({ params: { id: channel.id }, query: { limit: 1 } })
        const { messages } = await hub.messages({ query: { topic_id: topic.id } })
        const { channels } = await hub.channels()
        return { channel, topic, message, again, topics, messages, channels }
      })
      assert.strictEqual(all.again.message.id, all.message.id)
      assert.deepStrictEqual(all.messages, [all.message])
      assert.strictEqual(all.topics[0]?.title, "a & b/c?")
      assert.deepStrictEqual(all.channels, [all.channel])

      const missing = yield* rejection(hub.enrichments({ params: { id: "no such/message" } }))
      assert.deepStrictEqual([missing.code, missing.status], ["NOT_FOUND", 404])
      assert.include(missing.message, "no such/message")
      const { url } = yield* Effect.promise(hub.address)
      const unauthorised = makeHubClient(() => ({ url }))
      const refused = yield* rejection(unauthorised.createChannel({ payload: { name: "other" } }))
      assert.deepStrictEqual([refused.code, refused.status], ["MISSING_AUTH", 401])
    })
  )

  it.live("sends its token only to a hub that has proved that it knows the token", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const health = (yield* hub.get("/health?challenge=abcdefgh_-ABCDEFGH0123")).body
      const seen: Array<Headers> = []
      // A neighbour who repeats what the hub once said.
      const replay = (_: unknown, init?: RequestInit) => {
        seen.push(new Headers(init?.headers))
        return Promise.resolve(Response.json(health))
      }
      const address = () => ({ url: hub.url, token: hub.token })
      const error = yield* rejection(makeHubClient(address, { fetch: replay }).channels())
      assert.deepStrictEqual([error.code, error.status], ["NOT_THE_HUB", 0])
      assert.deepStrictEqual(
        seen.map((headers) => headers.get("authorization")),
        [null]
      )
      const { channels } = yield* Effect.promise(() => makeHubClient(address).channels())
      assert.deepStrictEqual(channels, [])
    })
  )

  it.live("says that nothing answers, or that it is no hub", () =>
    Effect.gen(function* () {
      // No service listens on port 1.
      const nowhere = yield* rejection(makeHubClient(() => ({ url: "http://127.0.0.1:1" })).channels())
      assert.deepStrictEqual([nowhere.code, nowhere.status], ["UNREACHABLE", 0])
      assert.include(nowhere.message, "agentlip up")
      const page = () => Promise.resolve(new Response("<html>", { status: 200 }))
      const strange = makeHubClient(() => ({ url: "" }), { fetch: page })
      assert.strictEqual((yield* rejection(strange.channels())).code, "NOT_A_HUB")
    })
  )

  it.live("follows events through restarts of the hub, each once and in order", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const scope = yield* Effect.scope
      const stop = new AbortController()
      yield* Effect.addFinalizer(() => Effect.sync(() => stop.abort()))
      const hub = makeHubClient(addressIn(workspace))
      const seen: Array<LiveEvent> = []
      const states: Array<string> = []
      let following: Promise<void> | undefined
      let topic_id = ""
      for (let start = 0; start < 3; start++) {
        const life = yield* Scope.fork(scope)
        yield* startIn(workspace, life)
        if (start === 0) {
          topic_id = yield* Effect.promise(async () => {
            const { channel } = await hub.createChannel({ payload: { name: "general" } })
            return (await hub.createTopic({ payload: { channel_id: channel.id, title: "t" } })).topic.id
          })
        }
        following ??= (async () => {
          const options = {
            after: 0,
            signal: stop.signal,
            onConnection: (state: string) => states.push(state)
          }
          for await (const event of hub.follow(options)) seen.push(event)
        })()
        const content_raw = `start ${start}`
        yield* Effect.promise(() =>
          // Its first call after a restart finds the old port closed.
          hub
            .createMessage({ payload: { topic_id, sender: "ada", content_raw } })
            .catch(() => hub.createMessage({ payload: { topic_id, sender: "ada", content_raw } }))
        )
        yield* Effect.repeat(Effect.sleep("10 millis"), { while: () => seen.length < 3 + start })
        yield* Scope.close(life, Exit.void)
      }
      stop.abort()
      yield* Effect.promise(() => following ?? Promise.resolve())
      assert.deepStrictEqual(
        seen.map(({ event_id }) => event_id),
        [1, 2, 3, 4, 5]
      )
      const texts = seen.flatMap((event) =>
        isEvent(event, "message.created") ? [event.data.message.content_raw] : []
      )
      assert.deepStrictEqual(texts, ["start 0", "start 1", "start 2"])
      assert.deepStrictEqual(new Set(states), new Set(["open", "lost"]))
    })
  )

  it.live("follows what is asked for, from now on, until it is stopped; a refusal ends it", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      yield* startHub({ workspace })
      const hub = makeHubClient(addressIn(workspace))
      const { channel, other } = yield* Effect.promise(async () => ({
        channel: (await hub.createChannel({ payload: { name: "one" } })).channel.id,
        other: (await hub.createChannel({ payload: { name: "two" } })).channel.id
      }))
      const stop = new AbortController()
      const titles: Array<string> = []
      let isOpen = (): void => {}
      const open = new Promise<void>((resolve) => (isOpen = resolve))
      const following = (async () => {
        const options = { channels: [channel], signal: stop.signal, onConnection: () => isOpen() }
        for await (const event of hub.follow(options)) {
          if (!isEvent(event, "topic.created")) continue
          titles.push(event.data.topic.title)
          if (titles.length === 2) stop.abort()
        }
      })()
      yield* Effect.promise(async () => {
        await open
        await hub.createTopic({ payload: { channel_id: channel, title: "first" } })
        await hub.createTopic({ payload: { channel_id: other, title: "elsewhere" } })
        await hub.createTopic({ payload: { channel_id: channel, title: "second" } })
        await following
      })
      assert.deepStrictEqual(titles, ["first", "second"])
      const refused = yield* rejection(hub.follow({ after: -1 }).next())
      assert.strictEqual(refused.code, "INVALID_INPUT")
    })
  )
})
