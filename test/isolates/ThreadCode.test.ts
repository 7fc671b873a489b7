/** The compiled code that the first thread's guest sends to the host for the other threads. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { Script } from "node:vm"
import { Worker } from "node:worker_threads"
import type { Isolate } from "../../src/isolates/isolate/Isolate.ts"
import { noPermissions } from "../../src/isolates/levels/IsolateFactory.ts"
import { threadFactory } from "../../src/isolates/levels/isolateFactories.ts"
import { takeCode, threadCode } from "../../src/isolates/levels/thread/threadCode.ts"
import { encodeHello } from "../../src/wire/codec.ts"

const boot = Effect.acquireRelease(
  threadFactory(true).boot(noPermissions, (effect) => Effect.runFork(effect)),
  (isolate: Isolate) => isolate.kill
)

/** Whether another thread's engine rejects the code. This thread's engine has its own cache of the source. */
const isRejectedInThread = (source: string, compiled: Uint8Array | undefined) =>
  Effect.promise(
    () =>
      new Promise<unknown>((resolve, reject) => {
        const program = `
          const { parentPort, workerData } = require("node:worker_threads")
          const { source, cachedData } = workerData
          parentPort.postMessage(new (require("node:vm").Script)(source, { cachedData }).cachedDataRejected)`
        new Worker(program, { eval: true, workerData: { source, cachedData: compiled } })
          .on("message", resolve)
          .on("error", reject)
      })
  )

describe("The code of a thread's guest", () => {
  it("comes after the first hello, which is passed on with it; all other messages are passed on at once", () => {
    const received: Array<unknown> = []
    const kept: Array<Uint8Array> = []
    const receive = takeCode(
      (message) => received.push(message),
      (code) => kept.push(code)
    )
    const [early, code, late] = [new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])]
    for (const message of [early, "a crash", encodeHello()]) receive(message)
    assert.deepStrictEqual(received, [early, "a crash"])
    receive(code)
    assert.deepStrictEqual(received, [early, "a crash", encodeHello()])
    for (const message of [late, encodeHello()]) receive(message)
    assert.deepStrictEqual(received.slice(3), [late, encodeHello()])
    assert.deepStrictEqual(kept, [code])
  })

  it.live("saves the engine from compiling", () =>
    Effect.gen(function* () {
      yield* boot
      const { source, compiled } = threadCode()
      assert.isDefined(compiled)
      assert.isFalse(new Script(source, { cachedData: compiled }).cachedDataRejected)
      assert.isTrue(new Script(`${source} `, { cachedData: compiled }).cachedDataRejected)
      // Boots with the code.
      yield* boot
      assert.strictEqual(threadCode().compiled, compiled)
    }).pipe(Effect.scoped)
  )

  it.live("is compiled again if the host changes V8's flags, because the engine rejects the old code", () =>
    Effect.gen(function* () {
      yield* boot
      const { source, compiled } = threadCode()
      yield* Effect.acquireRelease(
        Effect.sync(() => setFlagsFromString("--allow-natives-syntax")),
        () => Effect.sync(() => setFlagsFromString("--no-allow-natives-syntax"))
      )
      assert.isTrue(yield* isRejectedInThread(source, compiled))
      assert.isUndefined(threadCode().compiled)
      yield* boot
      const { compiled: again } = threadCode()
      assert.isFalse(yield* isRejectedInThread(source, again))
    }).pipe(Effect.scoped)
  )
})
