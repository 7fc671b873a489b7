/** How long the texts of requests may be. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bounds } from "@agentlip/protocol"
import { type Answer, makeTopic, startHub } from "./testHub.ts"

const refusedFor = ({ status, body }: Answer, field: string, bound: number): void => {
  assert.deepStrictEqual([status, body.code], [400, "INVALID_INPUT"], field)
  assert.include(body.error, field)
  assert.include(body.error, String(bound))
  // The text itself is not sent back.
  assert.isBelow(JSON.stringify(body).length, 2_000)
}

describe("a text of a request", () => {
  it.live("may be as long as its field allows and no longer, and the refusal says which and how long", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { channel, topic } = yield* makeTopic(hub)
      const message = { topic_id: topic, sender: "a", content_raw: "x" }
      const id = String((yield* hub.post("/api/v1/messages", message)).body.message.id)
      const attachments = `/api/v1/topics/${topic}/attachments`
      const attachment = { kind: "k", value_json: {} }
      const fields: ReadonlyArray<readonly [keyof typeof bounds, string, string, object]> = [
        ["name", "POST", "/api/v1/channels", {}],
        ["description", "POST", "/api/v1/channels", { name: "described" }],
        ["title", "POST", "/api/v1/topics", { channel_id: channel }],
        ["title", "PATCH", `/api/v1/topics/${topic}`, {}],
        ["sender", "POST", "/api/v1/messages", message],
        ["kind", "POST", attachments, attachment],
        ["key", "POST", attachments, attachment],
        ["dedupe_key", "POST", attachments, attachment],
        ["actor", "PATCH", `/api/v1/messages/${id}`, { op: "delete" }]
      ]
      for (const [at, [field, method, path, rest]] of fields.entries()) {
        // No name and no title twice.
        const letter = String.fromCharCode(97 + at)
        const send = (length: number) =>
          hub.request(method, path, { ...rest, [field]: letter.repeat(length) })
        refusedFor(yield* send(bounds[field] + 1), field, bounds[field])
        refusedFor(yield* send(900_000), field, bounds[field])
        const { status, body } = yield* send(bounds[field])
        assert.oneOf(status, [200, 201], `${field}: ${JSON.stringify(body)}`)
      }
      for (const [field, path, rest] of [
        ["topic_id", "/api/v1/messages", { sender: "a", content_raw: "x" }],
        ["channel_id", "/api/v1/topics", { title: "other" }],
        ["source_message_id", attachments, attachment],
        ["plugin", "/api/v1/jobs/retry", {}]
      ] as const) {
        refusedFor(yield* hub.post(path, { ...rest, [field]: "x".repeat(100_000) }), field, bounds.id)
      }
    })
  )
})
