/** What a guest says, in all the ways it could be wrong: an isolate takes it or ends; the host lives. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { encodeHello, tagOf } from "../../src/wire/codec.ts"
import { protocolVersion } from "../../src/wire/messages.ts"
import { Isolate } from "../../src/isolates/isolate/Isolate.ts"
import { LineDecoder } from "../../src/isolates/levels/process/LineDecoder.ts"
import type { RequestHandler } from "../../src/isolates/isolate/PendingRequests.ts"
import type { TransportEvents } from "../../src/isolates/isolate/Transport.ts"
import { defaultLimits } from "../../src/Plugin.ts"
import { Edits, edited, times } from "../support/fuzz.ts"

/** An isolate whose guest is this test. */
const makeIsolate = () => {
  const sent: Array<string> = []
  let events: TransportEvents | undefined
  let killed = false
  const isolate = new Isolate((given) => {
    events = given
    return {
      send: (text) => void sent.push(text),
      load: () => {},
      framed: false,
      hold: () => {},
      kill: Effect.sync(() => {
        if (!killed) {
          killed = true
          given.died({ reason: "killed" })
        }
        return true
      }),
      usage: async () => ({ memory: 0, cpu: undefined })
    }
  }, Effect.runFork)
  return { isolate, sent, killed: () => killed, say: (text: unknown) => events?.message(text) }
}

const hello = encodeHello()

const makeModuleRequester = () => {
  const outcomes: Array<string> = []
  const handler: RequestHandler = {
    limits: defaultLimits,
    side: { log: () => {}, net: () => undefined, audit: () => {} },
    begun: () => {},
    replied: ({ body }) => void outcomes.push(body),
    died: () => void outcomes.push("died"),
    notStarted: () => void outcomes.push("notStarted"),
    defect: () => void outcomes.push("defect")
  }
  return { handler, outcomes }
}

const bodies = [
  ["O", '0[{"kind":"a","span":{"start":0,"end":1},"data":{}}]'],
  ["X", '1{"name":"Error","message":"m"}'],
  ["I", '0"cannot cross"'],
  ["G", '{"level":"Info","text":"said"}'],
  ["N", '{"op":"pull","id":1}'],
  ["A", '{"capability":"read","what":"/etc/passwd"}'],
  ["C", '"crashed"'],
  ["L", '{"name":"n","version":"1"}'],
  ["F", '{"message":"no"}'],
  ["H", `{"protocol":${protocolVersion}}`]
] as const

const nextTurn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const latin = (text: string): Buffer => Buffer.from(text, "latin1")

describe("an isolate's messages", () => {
  it.effect.prop(
    "edited, are taken or end it, and each request has one outcome",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        for (const [type, body] of bodies) {
          const { isolate, sent, say, killed } = makeIsolate()
          say(hello)
          const one = makeModuleRequester()
          const two = makeModuleRequester()
          isolate.run({ json: "{}", texts: undefined }, undefined, one.handler)
          isolate.run({ json: "{}", texts: undefined }, undefined, two.handler)
          yield* Effect.yieldNow
          yield* Effect.promise(() => Promise.resolve())
          const tag = tagOf(sent.join("\n"))
          say(edited(latin(type + tag + body), edits).toString("latin1"))
          say(edited(latin(type + tag + body), edits).toString("utf8"))
          assert.isAtMost(one.outcomes.length, 1)
          assert.notInclude(one.outcomes, "defect")
          if (!isolate.usable) yield* isolate.kill
          if (!killed()) {
            // Whatever came was none of its business: what is due still counts.
            if (one.outcomes.length === 0) {
              say(`O${tag}0[]`)
              // A log line may have used up what lines have of a turn; all that follows it waits for the next.
              while (one.outcomes.length === 0) yield* nextTurn
              assert.deepStrictEqual(one.outcomes, ["[]"])
            }
          } else {
            assert.lengthOf(one.outcomes, 1)
            assert.lengthOf(two.outcomes, 1)
          }
          yield* isolate.kill
          assert.lengthOf(one.outcomes, 1)
          assert.lengthOf(two.outcomes, 1)
        }
      }),
    times(60)
  )

  it.effect.prop(
    "before its hello are its end, if they are not that",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const { isolate, say, killed } = makeIsolate()
        const text = edited(latin(hello), edits).toString("latin1")
        say(text)
        if (text !== hello && !text.startsWith("G")) {
          assert.isTrue(killed())
          yield* Effect.flip(isolate.booted)
        }
      }),
    times(200)
  )
})

describe("a process's lines", () => {
  it.effect.prop(
    "edited, come out as lines or are told to be too long",
    { edits: Edits },
    ({ edits }) =>
      Effect.sync(() => {
        const bytes = edited(
          Buffer.from(
            bodies
              .map(([, body]) => `${body}\n`)
              .join("")
              .repeat(3)
          ),
          edits
        )
        const lines: Array<string> = []
        let tooLong = 0
        const decoder = new LineDecoder(
          120,
          (line) => lines.push(line),
          () => tooLong++
        )
        for (let at = 0; at < bytes.length; at += 7) decoder.push(bytes.subarray(at, at + 7))
        assert.isAtMost(tooLong, 1)
        const expected = bytes.toString("latin1").split("\n").slice(0, -1)
        assert.deepStrictEqual(
          lines,
          expected.slice(0, lines.length).map((line) => latin(line).toString("utf8"))
        )
        if (tooLong === 0) assert.lengthOf(lines, expected.length)
      }),
    times(200)
  )
})
