/** When a run begins: the host counts its time from the moment that the guest can start it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Isolate } from "../../src/isolates/isolate/Isolate.ts"
import { encodeHello } from "../../src/wire/codec.ts"
import type { TransportEvents } from "../../src/isolates/isolate/Transport.ts"
import { defaultLimits } from "../../src/Plugin.ts"

describe("A run", () => {
  it("begins before it is sent: the guest that wakes up may hold the host up at that point", () => {
    let events: TransportEvents | undefined
    let sent: number | undefined
    const isolate = new Isolate((given) => {
      events = given
      return {
        send: () => {
          sent = performance.now()
          // The guest takes the host's core.
          while (performance.now() <= sent) {
            // The clock goes on.
          }
        },
        load: () => {},
        hold: () => {},
        kill: Effect.succeed(true),
        usage: async () => ({ memory: 0, cpu: undefined })
      }
    }, Effect.runFork)
    events?.message(encodeHello())
    let began: number | undefined
    isolate.run({ json: "{}", texts: undefined }, undefined, {
      limits: defaultLimits,
      side: undefined,
      begun: (at) => (began = at),
      replied: () => {},
      died: () => {},
      notStarted: () => {},
      defect: () => {}
    })
    assert.isDefined(sent)
    assert.isDefined(began)
    assert.isAtMost(began ?? Number.NaN, sent ?? Number.NaN)
  })
})
