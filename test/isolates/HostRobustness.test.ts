/**
 * What a plugin's answers, errors and logs can do to its host: nothing that blocks its event loop, fills its
 * memory, hides in its logs or changes a prototype.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Logger } from "effect"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { shapes } from "../fixtures/robustness/shapes.ts"
import { layerRuntime, type Level, levels, message, specOn } from "../support/isolation.ts"
import { census } from "../support/prototypes.ts"

const modulePath = fileURLToPath(new URL("../fixtures/robustness/shapes.ts", import.meta.url))

/** The longest that a host's event loop may be kept from its next turn, in milliseconds. */
const maxTurn = 50

const mebibyte = 1024 * 1024
/** Heap that a run may add until the next collection, and that all runs together may keep. */
const maxPeak = 64 * mebibyte
const maxKept = 16 * mebibyte

const collectGarbage = ((): (() => void) => {
  setFlagsFromString("--expose-gc")
  const gc: unknown = runInNewContext("gc")
  return () => typeof gc === "function" && gc()
})()

interface Strain {
  /** The most processor time between two turns of the event loop, in milliseconds. */
  readonly turn: number
  /** The most bytes of heap above those at the start. */
  readonly peak: number
}

/**
 * Measures what an effect does to the event loop. By the thread's own processor time: what others take on a
 * busy machine makes a turn late, not long.
 */
const strained = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, Strain], E, R> =>
  Effect.suspend(() => {
    collectGarbage()
    const heap = (): number => process.memoryUsage().heapUsed
    const start = heap()
    let peak = 0
    let turn = 0
    let stopped = false
    let last = process.threadCpuUsage()
    const look = (): void => {
      const { user, system } = process.threadCpuUsage(last)
      turn = Math.max(turn, (user + system) / 1000)
      peak = Math.max(peak, heap() - start)
      last = process.threadCpuUsage()
    }
    const next = (): void => {
      look()
      if (!stopped) setImmediate(next)
    }
    setImmediate(next)
    return effect.pipe(
      Effect.map((value) => {
        look()
        return [value, { turn, peak }] as const
      }),
      Effect.ensuring(
        Effect.sync(() => {
          stopped = true
        })
      )
    )
  })

/** Line feeds and tabs are a log's own. */
const hidden = /[[\p{C}\p{Zl}\p{Zp}]--[\n\t]]/v

/** Keeps the texts that are logged. */
const keepingLogs = (texts: Array<string>) =>
  Logger.layer([
    Logger.make<unknown, void>(({ message }) => {
      texts.push(...(Array.isArray(message) ? message : [message]).map(String))
    })
  ])

const specFor = (level: Level) =>
  specOn(level, { name: "shapes", kind: linkifier, modulePath, timeout: "20 seconds" })

const asking = (content_raw: string) => ({ message: { ...message, content_raw } })

/** What each shape comes to; whatever is not named here is refused. */
const accepted: ReadonlySet<string> = new Set([
  "answer: the largest that is allowed",
  "answer: the most keys that are allowed",
  "answer: one long text",
  "answer: one long text of escapes",
  "answer: one long key",
  "answer: a constructor's prototype",
  ...Object.keys(shapes).filter((name) => name.startsWith("log: "))
])
const codeOf = (shape: string): string =>
  accepted.has(shape) ? "OK" : shape.startsWith("throw: ") ? "EXECUTION_ERROR" : "INVALID_OUTPUT"

describe.each(levels)("A host of plugins on level: $name", (level) => {
  layer(layerRuntime(), { excludeTestServices: true })((it) => {
    it.effect("has run one before, so that its own code is compiled", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        for (const shape of ["log: many lines", "answer: every item wrong", "throw: null"]) {
          yield* Effect.exit(runtime.run(specFor(level), asking(shape)))
        }
      }).pipe(Effect.provide(keepingLogs([])))
    )

    // How long an isolate lives is nothing to the host that reads what it says; what each leaves behind is below.
    const each = level.reuse === "plugin" ? Object.keys(shapes) : []
    it.effect.each(each)("stays as it was after %s", (shape) =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const texts: Array<string> = []
        const before = census()
        const meet = strained(Effect.exit(runtime.run(specFor(level), asking(shape)))).pipe(
          Effect.provide(keepingLogs(texts))
        )
        let [exit, strain] = yield* meet
        // A plugin that is able to hold up its host is so each time; a busy machine is not.
        for (let again = 1; again < 3 && strain.turn >= maxTurn; again++) [exit, strain] = yield* meet
        assert.isBelow(strain.turn, maxTurn)
        assert.isBelow(strain.peak, maxPeak)
        assert.strictEqual(census(), before)
        assert.isUndefined(Reflect.get({}, "polluted"))
        assert.notMatch(texts.join("\n"), hidden)
        assert.isBelow(texts.join("\n").length, 1_000_000)
        if (Exit.isSuccess(exit)) {
          assert.strictEqual("OK", codeOf(shape))
          return
        }
        const error = yield* Effect.flip(exit)
        assert.strictEqual(error._tag, codeOf(shape), error.message)
        const said = JSON.stringify(error) + error.message
        assert.notMatch(error.message, hidden)
        assert.isBelow(said.length, 200_000)
      })
    )

    const keepsNothing = () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const everything = Effect.forEach(
          Object.keys(shapes),
          (shape) => Effect.exit(runtime.run(specFor(level), asking(shape))),
          { discard: true }
        )
        // All has been run once by now: what is kept from here on is not code.
        collectGarbage()
        const before = process.memoryUsage()
        yield* everything
        collectGarbage()
        const after = process.memoryUsage()
        assert.isBelow(after.heapUsed - before.heapUsed, maxKept)
        assert.isBelow(after.arrayBuffers - before.arrayBuffers, maxKept)
      }).pipe(Effect.provide(keepingLogs([])))
    it.effect("keeps nothing of all that", keepsNothing, 60_000)

    it.effect("does not blame a plugin for a logger of its own that throws", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const broken = Logger.layer([
          Logger.make<unknown, void>(() => {
            throw new Error("the disk is full")
          })
        ])
        const run = runtime.run(specFor(level), asking("log: many lines"))
        // A plugin is refused while some of its isolates die late, as those of the test before may on a busy machine.
        const exit = yield* Effect.exit(Effect.provide(run, broken)).pipe(
          Effect.delay("50 millis"),
          Effect.repeat({
            until: (exit) => Exit.isSuccess(exit) || !Cause.pretty(exit.cause).includes("LoadError"),
            times: 200
          })
        )
        const cause = Exit.isFailure(exit) ? exit.cause : assert.fail("it has logged, and succeeds")
        assert.isTrue(Cause.hasDies(cause) && !Cause.hasFails(cause), Cause.pretty(cause))
        assert.include(Cause.pretty(cause), "the disk is full")
        // The host goes on, and so does the plugin.
        assert.deepStrictEqual(yield* Effect.provide(run, keepingLogs([])), [])
      })
    )
  })
})
