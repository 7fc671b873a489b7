/** Nothing that was posted is lost, and each plugin has enriched each message once. Returns how many messages there are. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Json } from "./testHub.ts"

export const allEnrichedOnce = Effect.fnUntraced(function* (
  rows: (text: string) => Effect.Effect<ReadonlyArray<Json>>,
  posted: Iterable<string>
) {
  const kept = new Set((yield* rows("SELECT id FROM messages")).map(({ id }) => id))
  for (const id of posted) assert.isTrue(kept.has(id), `${id} was answered with 201 and is gone`)
  const jobs = yield* rows(
    "SELECT plugin_name, state, count(*) AS n FROM derivations GROUP BY 1, 2 ORDER BY 1"
  )
  assert.deepStrictEqual(
    jobs.map(({ plugin_name, state, n }) => [plugin_name, state, n]),
    [
      ["shouts", "committed", kept.size],
      ["tags", "committed", kept.size]
    ]
  )
  const perMessage = yield* rows(
    "SELECT count(e.id) AS n FROM messages m LEFT JOIN enrichments e ON e.message_id = m.id GROUP BY m.id"
  )
  assert.isTrue(perMessage.every(({ n }) => n === 2))
  const [enriched] = yield* rows(
    "SELECT count(*) AS n, count(DISTINCT entity_id) AS messages FROM events WHERE name = 'message.enriched'"
  )
  assert.deepStrictEqual([enriched.n, enriched.messages], [kept.size, kept.size])
  return kept.size
})
