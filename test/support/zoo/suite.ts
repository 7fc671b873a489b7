/** The zoo on one isolation level: every rogue gets the exact error, and nobody else is any the worse for it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Logger, ManagedRuntime, Result, Schedule } from "effect"
import * as fs from "node:fs"
import { vi } from "vitest"
import type { IsolationLevel } from "../../../src/Capabilities.ts"
import type { PluginSpec } from "../../../src/Plugin.ts"
import { linkifier } from "../../../src/PluginKinds.ts"
import { CircuitBreaker } from "../../../src/CircuitBreaker.ts"
import type { PluginErrorCode } from "../../../src/Errors.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { WorkerLayer } from "../../../src/WorkerLayer.ts"
import { absentOnWasm } from "./absent.ts"
import { census, prototypes } from "./census.ts"
import { inTurn, makeRuntimeHosts } from "../host.ts"
import { layerRuntime, type Level, levels, message, specOn } from "../isolation.ts"
import { goodPath, messageOf, specOf, taskOf } from "../meeting.ts"
import { makeWorld, type World } from "../world.ts"
import { zoo } from "../zoo.ts"
import { type Rogue, rogueOn } from "./rogue.ts"

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** What no line of a log and no error's message may hold, ends of lines among it: one of them would look like two. */
const unseen = /[\p{C}\p{Zl}\p{Zp}]/u

/**
 * Processor time of the host's own thread that a rogue may cost, in milliseconds, for two runs and two good ones. Most
 * cost less than 50 on a quiet machine; what lets one work without end costs seconds.
 */
const hostTime = 500

/** For a rogue's test, in milliseconds: it may wait for many in hosts of their own before it. */
const patience = 120_000

/** Whether it can matter that an isolate is of this run only: what ends it, forges, or leaves things behind. */
const mattersFresh = ({ file, harm }: Rogue): boolean =>
  /^(crash|forge|leftover)/.test(file) || harm === "persists"

/** Where each run has an isolate of its own, a second one shows more only of what would leave something to it. */
const roundsOf = (level: Level, { file, harm }: Rogue): number =>
  level.reuse === "plugin" || !file.startsWith("crash") || harm === "persists" ? 2 : 1

/** Codes of a run whose isolate is gone. */
const endings: ReadonlySet<string> = new Set<PluginErrorCode>(["TIMEOUT", "WORKER_CRASH"])

/** Whether a next run can show more: its isolate would be new, and only some rogues reach for the runs after theirs. */
const isDone = ({ harm }: Rogue, code: string): boolean =>
  endings.has(code) && harm !== "forges" && harm !== "persists"

type Met = Result.Result<unknown, { readonly _tag: string; readonly message: string }>

/** On a busy machine its deadline may be over before it is loaded; not each time. */
const isTooSoon = ({ says }: Rogue, result: Met): boolean =>
  Result.isFailure(result) &&
  result.failure._tag === "TIMEOUT" &&
  result.failure.message.includes("was still loading") &&
  says?.test(result.failure.message) === false

/** Two runs of the rogue, or one if that ends its isolate; a good plugin's after each. */
const meet = (world: World, level: Level, rogue: Rogue) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines.push(String(message))
    })
    const runtime = yield* PluginRuntime
    const workers = yield* WorkerLayer
    const breaker = yield* CircuitBreaker
    const spec = specOf(world, level, rogue)
    // It shows what state its host is in: a warm one shows it as well as fresh ones.
    const warm: Level = { ...level, reuse: "plugin" }
    const good = specOn(warm, { name: "good", kind: linkifier, modulePath: goodPath })
    const results: Array<Met> = []
    const logged = Effect.provide(Logger.layer([logger]))
    const cpu = process.threadCpuUsage()
    for (let round = 1; round <= roundsOf(level, rogue); round++) {
      // An isolate that a busy machine took long to end has opened it; whether it ends at all is looked at below.
      yield* breaker.reset(spec.name)
      const result = yield* Effect.result(runtime.run(spec, { message: messageOf(rogue) })).pipe(
        logged,
        Effect.repeat({ until: (result) => !isTooSoon(rogue, result), times: 3 })
      )
      results.push(result)
      const [echo] = yield* runtime.run(good, { message })
      assert.strictEqual(echo?.kind, "echo", "a good plugin runs on")
      if (rogue.countsAsFailure === true && level.reuse === "plugin") {
        const { failures } = yield* Effect.repeat(breaker.state(spec.name), {
          while: ({ failures }) => failures === 0,
          schedule: Schedule.spaced("10 millis"),
          times: 500
        })
        assert.strictEqual(failures, 1, "its crash counts, once")
      }
      if (Result.isFailure(result) && isDone(rogue, result.failure._tag)) break
    }
    const { user, system } = process.threadCpuUsage(cpu)
    // What is dying is given the time to.
    const { zombies } = yield* Effect.repeat(workers.stats, {
      while: ({ zombies }) => zombies > 0,
      schedule: Schedule.spaced("10 millis"),
      times: 100
    })
    return { results, lines, zombies, hostMillis: (user + system) / 1000 }
  })

const judge = (world: World, level: Level, rogue: Rogue, code: string, text: string): void => {
  const expected: ReadonlyArray<string> = typeof rogue.expect === "string" ? [rogue.expect] : rogue.expect
  assert.deepStrictEqual(world.leaks(text), [], text)
  assert.notMatch(text, control)
  if (code !== "OK") assert.notMatch(text, unseen)
  assert.isBelow(text.length, 2 * 1024 * 1024)
  const absent = level.isolation === "wasm" ? absentOnWasm.get(rogue.name) : undefined
  if (absent !== undefined) {
    assert.include(["LOAD_ERROR", "EXECUTION_ERROR"], code, text)
    return assert.include(text, absent)
  }
  assert.include(expected, code, text)
  if (rogue.says !== undefined && code !== "OK") assert.match(text, rogue.says)
  if (code !== "OK") return
  for (const { kind, data } of JSON.parse(text)) {
    assert.notStrictEqual(kind, "forged", text)
    assert.deepStrictEqual(data.got ?? [], [], text)
    assert.deepStrictEqual(data.seen ?? [], [], text)
    if (kind === "report") assert.isNotEmpty(data.refused)
  }
}

/** A rogue that is known not to be held must fail, or its entry is out of date. */
const met = (rogue: Rogue) => (rogue.open === undefined ? it : it.fails)

/** Defines the tests of the whole zoo on a level, of isolates that are reused or of those that are not, or both. */
export const zooOn = (
  isolation: IsolationLevel,
  reuses: ReadonlyArray<PluginSpec["reuse"]> = ["plugin", "never"]
): void => {
  let world: World
  beforeAll(async () => {
    world = await makeWorld()
  })
  afterAll(() => world.close())

  const here = zoo.flatMap((rogue) => rogueOn(rogue, isolation) ?? [])
  for (const level of levels.filter(
    (level) => level.isolation === isolation && reuses.includes(level.reuse)
  )) {
    const guests = here.filter(
      (rogue) => rogue.ownHost !== true && (level.reuse === "plugin" || mattersFresh(rogue))
    )
    describe(`rogues on ${level.name}`, () => {
      let runtime: ManagedRuntime.ManagedRuntime<PluginRuntime | WorkerLayer | CircuitBreaker, unknown>
      let before: ReturnType<typeof census>
      beforeAll(async () => {
        // Threads that the process keeps from its first use of them are no leftovers.
        await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat(world.plugins)))
        before = census()
        runtime = ManagedRuntime.make(layerRuntime(undefined, { spares: 1 }))
      })
      afterAll(() => runtime.dispose())

      for (const rogue of guests) {
        met(rogue)(
          rogue.name,
          async () => {
            const keys = prototypes()
            const { results, lines, zombies, hostMillis } = await runtime.runPromise(
              meet(world, level, rogue)
            )
            for (const result of results) {
              if (Result.isSuccess(result)) judge(world, level, rogue, "OK", JSON.stringify(result.success))
              else judge(world, level, rogue, result.failure._tag, result.failure.message)
            }
            assert.deepStrictEqual(world.leaks(lines.join("\n")), [])
            assert.deepStrictEqual(
              lines.filter((line) => unseen.test(line)),
              []
            )
            assert.isBelow(lines.join("").length, 1024 * 1024)
            assert.deepStrictEqual(world.damage(), [])
            assert.deepStrictEqual(prototypes(), keys)
            assert.notProperty({}, "polluted")
            assert.strictEqual(zombies, 0)
            assert.isBelow(hostMillis, rogue.hostTime ?? hostTime)
          },
          patience
        )
      }

      it("leave nothing behind", async () => {
        await runtime.dispose()
        await vi.waitFor(
          () => {
            const after = census()
            for (const what of ["threads", "handles", "descriptors"] as const) {
              assert.isAtMost(after[what], before[what], what)
            }
            assert.deepStrictEqual(after.children, before.children)
          },
          { timeout: 10_000, interval: 20 }
        )
      })
    })
  }

  const alone = here.filter(({ ownHost }) => ownHost === true)
  const level = levels.find((level) => level.isolation === isolation)
  if (level === undefined || alone.length === 0 || !reuses.includes("plugin")) return
  // Each meets its host once: how it would reuse the isolate shows nothing more.
  describe(`rogues on ${level.name}, in hosts that they could take down`, () => {
    const hosts = makeRuntimeHosts()
    afterAll(hosts.close)
    const reports = inTurn(alone, (rogue) => hosts.meet(taskOf(world, level, rogue)))
    for (const rogue of alone) {
      met(rogue)(
        rogue.name,
        async () => {
          const report = await reports(rogue)
          assert.isDefined(report, "its host died")
          judge(world, level, rogue, report.code, report.text)
          assert.isTrue(report.good, "a good plugin runs on")
          assert.isBelow(report.memory, 1536)
        },
        patience
      )
    }
  })
}
