/** Numbers of things, as the command line prints them. */
import { assert, describe, it } from "@effect/vitest"
import { summary } from "../src/cli/commands/requireSqlite.ts"
import { counted } from "../src/cli/render/counted.ts"
import { eventLine } from "../src/cli/render/EventLine.ts"

describe("Numbers of things", () => {
  it("are in the singular or the plural, with their thousands apart", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 12_345].map((count) => counted(count, "job")),
      ["0 jobs", "1 job", "2 jobs", "12,345 jobs"]
    )
    assert.deepStrictEqual(
      [1, 2].map((count) => counted(count, "miss", "misses")),
      ["1 miss", "2 misses"]
    )
  })

  it("look the same on one line", () => {
    assert.strictEqual(
      summary({ bytes: 1024, messages: 12_345, newest_event: 23_456 }),
      "12,345 messages, events up to 23,456, 1 KiB"
    )
  })

  it("of failures too, in events", () => {
    const paused = (failures: number) =>
      eventLine(
        {
          type: "event",
          event_id: 1,
          ts: "2026-01-01T10:00:00.000Z",
          name: "plugin.circuit_opened",
          scope: { channel_id: null, topic_id: null, topic_id2: null },
          entity: { type: "plugin", id: "tags" },
          data: { plugin_name: "tags", failures, retry_after_ms: 60_000 }
        },
        ""
      )
    assert.include(paused(1), "tags paused after 1 failure in a row; next try in 60 s")
    assert.include(paused(3), "tags paused after 3 failures in a row")
  })
})
