/** Runs that a guest is handed ahead: how it executes them, and what happens to them when it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Result, Schema } from "effect"
import { fileURLToPath } from "node:url"
import {
  encodeEnd,
  encodeLoad,
  encodeReply,
  encodeRun,
  joinRequests,
  makeTag,
  noTag,
  secretLength,
  tagOf
} from "../../../src/wire/codec.ts"
import { Leftover, ReplyType, RequestType, Waiting } from "../../../src/wire/messages.ts"
import { queueRequests } from "../../../src/guest/shared/requestQueue.ts"
import { linkifier } from "../../../src/PluginKinds.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../../support/isolation.ts"

const secret = "s".repeat(secretLength)
const runText = (n: number): string => encodeRun(makeTag(secret, n), undefined, "{}")
const numberOf = (text: string): number => Number(tagOf(text).slice(secretLength)) - 1_000_000_000

/** A guest's end of the protocol. The test plays the host, the event loop and the plugin. */
const bench = () => {
  const turns: Array<() => void> = []
  const begun: Array<number> = []
  const posted: Array<string> = []
  let receive: (text: string) => void = () => {}
  let busy: number | undefined
  /** Runs that began in this turn. */
  let inThisTurn = 0
  const line = queueRequests(
    {
      post: (text) => posted.push(text),
      listen: (handler) => {
        receive = handler
      },
      modules: () => undefined
    },
    (turn) => turns.push(turn)
  )
  line.listen((text) => {
    if (text[0] !== RequestType.run) return
    assert.isUndefined(busy, "one at a time")
    inThisTurn++
    assert.strictEqual(inThisTurn, 1, "each in another turn")
    busy = numberOf(text)
    begun.push(busy)
  })
  return {
    begun,
    posted,
    line,
    send: (text: string) => {
      inThisTurn = 0
      receive(text)
    },
    turn: () => {
      inThisTurn = 0
      turns.shift()?.()
    },
    /** Replies to the current run, if there is one. */
    answer: (type: string, mark: string) => {
      if (busy === undefined) return false
      const tag = makeTag(secret, busy)
      busy = undefined
      line.post(encodeEnd(type, tag, mark, "[]"))
      return true
    },
    idle: () => busy === undefined && turns.length === 0
  }
}
type Bench = ReturnType<typeof bench>

/** Replies and takes turns until nothing is left to do. */
const finish = (on: Bench): void => {
  while (!on.idle()) {
    on.answer(ReplyType.output, Leftover.none)
    on.turn()
  }
}

const Step = Schema.Struct({
  op: Schema.Literals(["send", "send", "turn", "answer", "answer"]),
  texts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
})
const steps = Arbitrary.array(Arbitrary.schema(Step), { maxLength: 60 })
const End = Schema.Literals(["abort", "leftover", "thrown with leftover", "uncrossable"])

/** Plays the steps. Returns how many runs were sent. */
const play = (on: Bench, script: ReadonlyArray<typeof Step.Type>, from = 0): number => {
  let sent = from
  for (const { op, texts } of script) {
    if (op === "turn") on.turn()
    else if (op === "answer") on.answer(ReplyType.output, Leftover.none)
    else on.send(Array.from({ length: texts }, () => runText(sent++)).reduce(joinRequests))
  }
  return sent
}

describe("A guest that is handed runs ahead", () => {
  it("begins none while a load waits, and attributes a crash to the load", () => {
    const posted: Array<string> = []
    const handled: Array<string> = []
    let receive: (text: string) => void = () => {}
    const line = queueRequests(
      {
        post: (text) => posted.push(text),
        listen: (handler) => {
          receive = handler
        },
        modules: () => undefined
      },
      (turn) => turn()
    )
    line.listen((text) => handled.push(text))
    const loadTag = makeTag(secret, 1)
    const load = encodeLoad(loadTag, "{}")
    receive(load)
    line.post(encodeReply(ReplyType.waiting, loadTag, Waiting.module))
    receive(runText(2))
    assert.deepStrictEqual(handled, [load])
    line.post(encodeReply(ReplyType.crashed, noTag, '"a reason"'))
    assert.strictEqual(tagOf(posted.at(-1) ?? ""), loadTag)
  })

  it.effect.prop(
    "begins each once, in order, one at a time, each in another turn",
    { script: steps },
    ({ script }) =>
      Effect.sync(() => {
        const on = bench()
        const sent = play(on, script)
        finish(on)
        const all = Array.from({ length: sent }, (_, n) => n)
        assert.deepStrictEqual(on.begun, all)
        assert.deepStrictEqual(
          on.posted.map((text) => numberOf(text)),
          all
        )
        assert.strictEqual(on.line.turns(), 0)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "begins nothing after an abort, or after a run that spoiled its isolate",
    { before: steps, after: steps, end: End },
    ({ before, after, end }) =>
      Effect.sync(() => {
        const on = bench()
        const sent = play(on, before)
        if (end === "abort") on.send(RequestType.abort)
        else {
          // Makes sure that a run is under way.
          if (on.begun.length === on.posted.length) {
            on.send(runText(sent))
            while (on.begun.length === on.posted.length) on.turn()
          }
          if (end === "leftover") on.answer(ReplyType.output, Leftover.resources)
          else if (end === "uncrossable") on.answer(ReplyType.uncrossable, Leftover.none)
          else on.answer(ReplyType.thrown, Leftover.resources)
        }
        const begun = on.begun.length
        play(on, after, sent + 1)
        finish(on)
        assert.strictEqual(on.begun.length, begun)
      }),
    { arbitrary: { runs: 500 } }
  )
})

const obedient = fileURLToPath(new URL("../../fixtures/good/obedient.ts", import.meta.url))

for (const level of levels.filter(({ isolation, reuse }) => reuse === "plugin" && isolation !== "wasm")) {
  describe(`Runs handed ahead on ${level.name}`, () => {
    it.live("fail if the runtime closes during the grace period of the first", () =>
      Effect.gen(function* () {
        const spec = (timeout: number) =>
          specOn(level, {
            name: "obedient",
            kind: linkifier,
            modulePath: obedient,
            timeout,
            grace: 20_000
          })
        const run = (order: string, timeout: number) =>
          Effect.flatMap(PluginRuntime, (runtime) =>
            Effect.result(runtime.run(spec(timeout), { message: { ...message, content_raw: order } }))
          )
        const calls = yield* Effect.gen(function* () {
          yield* run("answer", 10_000)
          const orders = ["sleep 60000", ...Array.from({ length: 50 }, () => "answer")]
          const calls = yield* Effect.forkDetach(
            Effect.forEach(orders, (order) => run(order, 300), {
              concurrency: "unbounded"
            })
          )
          yield* Effect.sleep(700)
          return calls
        }).pipe(Effect.provide(layerRuntime()))
        const exit = yield* Effect.timeout(Fiber.await(calls), "5 seconds")
        if (!Exit.isSuccess(exit)) return assert.fail("the calls did not return")
        for (const result of exit.value) assert.isTrue(Result.isFailure(result))
      })
    )
  })
}
