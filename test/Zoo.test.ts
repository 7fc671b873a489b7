/** Every rogue on every level: the exact error, and nobody else any the worse for it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Logger, ManagedRuntime, Result, Schedule } from "effect"
import * as fs from "node:fs"
import { vi } from "vitest"
import { linkifier } from "../src/Plugin.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"
import { inOwnHost, type RuntimeReport } from "./support/host.ts"
import { layerRuntime, type Level, levels, message, specOn } from "./support/isolation.ts"
import { goodPath, messageOf, specOf, taskOf } from "./support/meeting.ts"
import { makeWorld, type World } from "./support/world.ts"
import { type Rogue, zoo } from "./support/zoo.ts"

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const codesOf = ({ expect }: Rogue): ReadonlyArray<string> => (typeof expect === "string" ? [expect] : expect)

/** Threads, and what holds the event loop; on Linux every thread has a folder. */
const census = () => ({
  threads: fs.existsSync("/proc/self/task") ? fs.readdirSync("/proc/self/task").length : 0,
  handles: process.getActiveResourcesInfo().filter((name) => /MessagePort|Worker|Process/.test(name)).length
})

/** What prototypes of the host there are to pollute. */
const prototypes = () =>
  [Object.prototype, Array.prototype, Function.prototype, String.prototype].map(
    (it) => Reflect.ownKeys(it).length
  )

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** Processor time of the host's own thread that a rogue may cost, in milliseconds, for two runs and two good ones. */
const hostTime = 250

/** Two runs of the rogue, a good plugin's after each. */
const meet = (level: Level, rogue: Rogue) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines.push(String(message))
    })
    const runtime = yield* PluginRuntime
    const workers = yield* WorkerLayer
    const spec = specOf(world, level, rogue)
    const good = specOn(level, { name: "good", kind: linkifier, modulePath: goodPath })
    const results: Array<Result.Result<unknown, { readonly _tag: string; readonly message: string }>> = []
    const logged = Effect.provide(Logger.layer([logger]))
    const cpu = process.threadCpuUsage()
    for (let round = 1; round <= 2; round++) {
      results.push(yield* Effect.result(runtime.run(spec, { message: messageOf(rogue) })).pipe(logged))
      const [echo] = yield* runtime.run(good, { message })
      assert.strictEqual(echo?.kind, "echo", "a good plugin runs on")
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

const judge = (rogue: Rogue, code: string, text: string): void => {
  assert.include(codesOf(rogue), code, text)
  if (rogue.says !== undefined && code !== "OK") assert.match(text, rogue.says)
  assert.deepStrictEqual(world.leaks(text), [], text)
  assert.notMatch(text, control)
  assert.isBelow(text.length, 2 * 1024 * 1024)
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

const groups = new Map<string, ReadonlyArray<Rogue>>()
for (const rogue of zoo) {
  if (rogue.ownHost === true) continue
  const group = /^[a-z]+/.exec(rogue.file)?.[0] ?? ""
  groups.set(group, [...(groups.get(group) ?? []), rogue])
}

for (const level of levels) {
  for (const [group, rogues] of groups) {
    describe(`${group} rogues on ${level.name}`, () => {
      let runtime: ManagedRuntime.ManagedRuntime<PluginRuntime | WorkerLayer, unknown>
      let before: ReturnType<typeof census>
      beforeAll(async () => {
        // Threads that the process keeps from its first use of them are no leftovers.
        await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat(world.plugins)))
        before = census()
        runtime = ManagedRuntime.make(layerRuntime())
      })
      afterAll(() => runtime.dispose())

      for (const rogue of rogues) {
        met(rogue)(rogue.name, async () => {
          const keys = prototypes()
          const { results, lines, zombies, hostMillis } = await runtime.runPromise(meet(level, rogue))
          for (const result of results) {
            if (Result.isSuccess(result)) judge(rogue, "OK", JSON.stringify(result.success))
            else judge(rogue, result.failure._tag, result.failure.message)
          }
          assert.deepStrictEqual(world.leaks(lines.join("\n")), [])
          assert.isFalse(lines.some((line) => control.test(line)))
          assert.isBelow(lines.join("").length, 1024 * 1024)
          assert.deepStrictEqual(world.damage(), [])
          assert.deepStrictEqual(prototypes(), keys)
          assert.notProperty({}, "polluted")
          assert.strictEqual(zombies, 0)
          assert.isBelow(hostMillis, hostTime)
        })
      }

      it("leave nothing behind", async () => {
        await runtime.dispose()
        await vi.waitFor(
          () => {
            const after = census()
            assert.isAtMost(after.threads, before.threads)
            assert.isAtMost(after.handles, before.handles)
          },
          { timeout: 3000, interval: 20 }
        )
      })
    })
  }

  // A host of its own meets its rogue once: how it would reuse the isolate shows nothing more.
  if (levels.find(({ isolation }) => isolation === level.isolation) !== level) continue
  describe(`rogues on ${level.name}, in a host of their own`, () => {
    for (const rogue of zoo.filter(({ ownHost }) => ownHost === true)) {
      met(rogue)(rogue.name, async () => {
        const { report } = await inOwnHost<RuntimeReport>(taskOf(world, "runtime", level, rogue))
        assert.isDefined(report, "its host died")
        judge(rogue, report.code, report.text)
        assert.isTrue(report.good, "a good plugin runs on")
        assert.isBelow(report.memory, 1536)
      })
    }
  })
}
