/** An isolate whose transport the test plays: moments that a real guest reaches only by chance. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Isolate } from "../../../src/isolates/isolate/Isolate.ts"
import type { RequestHandler } from "../../../src/isolates/isolate/PendingRequests.ts"
import type { Death, TransportEvents } from "../../../src/isolates/isolate/Transport.ts"
import { defaultLimits } from "../../../src/Plugin.ts"
import { encodeHello } from "../../../src/wire/codec.ts"

/** An isolate that has booted. `send` is called with each message for the guest. */
const booted = (send: () => void) => {
  let events: TransportEvents | undefined
  const isolate = new Isolate((given) => {
    events = given
    return {
      send,
      load: () => {},
      hold: () => {},
      kill: Effect.succeed(true),
      usage: async () => ({ memory: 0, cpu: undefined })
    }
  }, Effect.runFork)
  events?.message(encodeHello())
  return { isolate, die: (death: Death) => events?.died(death) }
}

const handler = (told: Partial<RequestHandler>): RequestHandler => ({
  limits: defaultLimits,
  side: undefined,
  begun: () => {},
  replied: () => {},
  died: () => {},
  notStarted: () => {},
  defect: () => {},
  ...told
})

const input = { json: "{}", texts: undefined }

describe("A run", () => {
  it("begins before it is sent: the guest that wakes up may hold the host up at that point", () => {
    let sent: number | undefined
    const { isolate } = booted(() => {
      sent = performance.now()
      // The guest takes the host's core.
      while (performance.now() <= sent) {
        // The clock goes on.
      }
    })
    let began: number | undefined
    isolate.run(input, undefined, handler({ begun: (at) => (began = at) }))
    assert.isDefined(sent)
    assert.isDefined(began)
    assert.isAtMost(began ?? Number.NaN, sent ?? Number.NaN)
  })

  it("fails at once if its isolate has died since it loaded: nothing else would answer it before its deadline", () => {
    const sent: Array<unknown> = []
    const { isolate, die } = booted(() => sent.push("message"))
    const death = { reason: "it ended without an answer", exitCode: 3 }
    die(death)
    const deaths: Array<Death> = []
    isolate.run(input, undefined, handler({ died: (given) => deaths.push(given) }))
    assert.deepStrictEqual(deaths, [death])
    assert.deepStrictEqual(sent, [])
    assert.strictEqual(isolate.handed, 0)
  })
})

describe("An isolate that is about to be ended", () => {
  it("does not count as crashed, whatever its plugin does after its last answer", () => {
    const { isolate, die } = booted(() => {})
    const crashes: Array<Death | undefined> = []
    isolate.whenGone = (crash) => crashes.push(crash)
    isolate.abandon()
    die({ reason: "its plugin threw", exitCode: 1 })
    assert.deepStrictEqual(crashes, [undefined])
  })
})
