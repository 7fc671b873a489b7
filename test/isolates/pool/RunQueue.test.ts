/** The queue of one plugin's runs stays in the order of submission when runs leave and come back. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { QueuePlace, RunQueue } from "../../../src/isolates/pool/RunQueue.ts"

const Step = Schema.Struct({
  op: Schema.Literals(["submit", "submit", "shift", "remove", "return"]),
  which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})

describe("RunQueue", () => {
  it.effect.prop(
    "keeps the order of submission, like a sorted array",
    { steps: Arbitrary.array(Arbitrary.schema(Step), { maxLength: 80 }) },
    ({ steps }) =>
      Effect.sync(() => {
        const queue = new RunQueue<QueuePlace>()
        let expected: Array<QueuePlace> = []
        const taken: Array<QueuePlace> = []
        let number = 0
        for (const { op, which } of steps) {
          if (op === "submit") {
            const place = new QueuePlace(number++)
            queue.insert(place)
            expected.push(place)
          } else if (op === "shift") {
            const first = queue.shift()
            assert.strictEqual(first, expected.shift())
            if (first !== undefined) taken.push(first)
          } else if (op === "remove") {
            const place = expected[which] ?? taken[which]
            if (place === undefined) continue
            queue.remove(place)
            expected = expected.filter((other) => other !== place)
          } else {
            const [place] = taken.splice(which, 1)
            if (place === undefined || place.isQueued) continue
            queue.insert(place)
            expected = [...expected, place].sort((a, b) => a.number - b.number)
          }
          assert.strictEqual(queue.length, expected.length)
        }
        const rest: Array<QueuePlace> = []
        for (let place = queue.shift(); place !== undefined; place = queue.shift()) rest.push(place)
        assert.deepStrictEqual(
          rest.map((place) => place.number),
          expected.map((place) => place.number)
        )
      }),
    { arbitrary: { runs: 500 } }
  )
})
