/**
 * A plugin's outputs, errors and logs cannot block the host's event loop, fill its memory, hide text in its logs or
 * change a prototype.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Logger } from "effect"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

import { linkifier, makeKind } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { shapes } from "../fixtures/robustness/shapes.ts"
import { layerRuntime, type Level, levels, message, specOn } from "../support/isolation.ts"
import { census } from "../support/prototypes.ts"

const modulePath = fileURLToPath(new URL("../fixtures/robustness/shapes.ts", import.meta.url))

/** The longest turn of a host's event loop, in milliseconds. */
const maxTurn = 50

const mebibyte = 1024 * 1024
/** Bytes of heap that a run may add before the next collection, and that all runs together may keep. */
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
 * Measures what an effect does to the event loop, in the thread's own processor time: on a busy machine, other
 * processes make a turn late but not long.
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

/** Line feeds and tabs are allowed in a log. */
const hidden = /[[\p{C}\p{Zl}\p{Zp}]--[\n\t]]/v

/** Collects the logged texts. */
const keepingLogs = (texts: Array<string>) =>
  Logger.layer([
    Logger.make<unknown, void>(({ message }) => {
      texts.push(...(Array.isArray(message) ? message : [message]).map(String))
    })
  ])

const specFor = (level: Level) =>
  specOn(level, { name: "shapes", kind: linkifier, modulePath, timeout: "20 seconds" })

const asking = (content_raw: string) => ({ message: { ...message, content_raw } })

/** The shapes that the host accepts. It refuses all others. */
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
    it.effect("has compiled its own code in a first run", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        for (const shape of ["log: many lines", "answer: every item wrong", "throw: null"]) {
          yield* Effect.exit(runtime.run(specFor(level), asking(shape)))
        }
      }).pipe(Effect.provide(keepingLogs([])))
    )

    // How the host reads messages does not depend on `reuse`, so one is enough here. The test below runs on both.
    const each = level.reuse === "plugin" ? Object.keys(shapes) : []
    it.effect.each(each)("is not changed by %s", (shape) =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const texts: Array<string> = []
        const before = census()
        const meet = strained(Effect.exit(runtime.run(specFor(level), asking(shape)))).pipe(
          Effect.provide(keepingLogs(texts))
        )
        let [exit, strain] = yield* meet
        // A plugin that can block its host does so every time. A busy machine does not.
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
        // Every shape has run once, so memory that is kept from here on is not compiled code.
        collectGarbage()
        const before = process.memoryUsage()
        yield* everything
        collectGarbage()
        const after = process.memoryUsage()
        assert.isBelow(after.heapUsed - before.heapUsed, maxKept)
        assert.isBelow(after.arrayBuffers - before.arrayBuffers, maxKept)
      }).pipe(Effect.provide(keepingLogs([])))
    it.effect("keeps no memory of them", keepsNothing, 60_000)

    it.effect("does not blame a plugin if the host's own logger throws", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const broken = Logger.layer([
          Logger.make<unknown, void>(() => {
            throw new Error("the disk is full")
          })
        ])
        const run = runtime.run(specFor(level), asking("log: many lines"))
        // A plugin is refused while its killed isolates still exist. On a busy machine those of the previous test may.
        const exit = yield* Effect.exit(Effect.provide(run, broken)).pipe(
          Effect.delay("50 millis"),
          Effect.repeat({
            until: (exit) => Exit.isSuccess(exit) || !Cause.pretty(exit.cause).includes("LoadError"),
            times: 200
          })
        )
        const cause = Exit.isFailure(exit)
          ? exit.cause
          : assert.fail("the logger threw, but the run succeeded")
        assert.isTrue(Cause.hasDies(cause) && !Cause.hasFails(cause), Cause.pretty(cause))
        assert.include(Cause.pretty(cause), "the disk is full")
        // The host and the plugin continue.
        assert.deepStrictEqual(yield* Effect.provide(run, keepingLogs([])), [])
      })
    )

    it.effect("goes on if a kind's own check throws: only that run dies with its error", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const kind = makeKind({
          ...linkifier,
          check: (_, { message }) => {
            if (message.sender === "eve") throw new Error("a bug of the kind")
            return undefined
          }
        })
        const spec = { ...specFor(level), kind }
        const runFrom = (sender: string) =>
          Effect.provide(
            runtime.run(spec, { message: { ...message, sender, content_raw: "log: many lines" } }),
            keepingLogs([])
          )
        const exit = yield* Effect.exit(runFrom("eve"))
        const cause = Exit.isFailure(exit)
          ? exit.cause
          : assert.fail("the check threw, but the run succeeded")
        assert.include(Cause.pretty(cause), "a bug of the kind")
        assert.deepStrictEqual(yield* runFrom("ada"), [])
      })
    )
  })
})
