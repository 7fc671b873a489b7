import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { killTest } from "./kill/killTest.ts"

describe("a hub killed at random moments while clients post, edit and delete", () => {
  it.live(
    "loses nothing that was acknowledged, and does nothing twice",
    () =>
      Effect.gen(function* () {
        const { figures, violations } = yield* killTest({ kills: 5, operations: 400, seed: 7 })
        assert.deepStrictEqual(violations, [])
        assert.isAtLeast(figures["operations acknowledged"] ?? 0, 400)
        assert.isAbove(figures["jobs begun more than once"] ?? 0, 0)
        assert.isAbove(figures["events message.enriched"] ?? 0, 0)
      }),
    300_000
  )
})
