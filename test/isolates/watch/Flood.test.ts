/** A plugin floods its log and its standard output: the other plugins continue, and the host keeps little of it. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Result } from "effect"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { linkifier } from "../../../src/PluginKinds.ts"
import { PluginRuntime } from "../../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../../support/isolation.ts"
import { serve } from "../../support/net.ts"
import { dataOf, temporary, write } from "../../support/plugins.ts"

const obedient = fileURLToPath(new URL("../../fixtures/good/obedient.ts", import.meta.url))

const mebibyte = 1024 * 1024

/** "endless" never stops. "until" asks the server after every 8 MiB whether to stop, and returns the total in MiB. */
const source = `
  const line = "x".repeat(64 * 1024)
  const out = globalThis.process?.stdout
  const flood = (log) => {
    log.info(line)
    console.log(line)
    console.error(line)
    out?.write(line + "\\n")
  }
  export default {
    name: "flood", version: "1.0.0",
    async enrich({ message, config }, { log, fetch }) {
      log.info("begun")
      if (message.content_raw === "endless") for (;;) flood(log)
      let mebibytes = 0
      for (;;) {
        for (let n = 0; n < 32; n++) flood(log)
        mebibytes += 8
        const told = await fetch(config.gate).then((response) => response.text())
        if (told === "enough") return [{ kind: "answer", span: { start: 0, end: 1 }, data: { mebibytes } }]
      }
    }
  }`

/** MiB that it writes at least, and MiB of them that the host may hold at once. */
const flooded = 160
const heldAtMost = flooded / 4

/** Returns a function that stops and returns the most bytes that this thread held above those at the start. */
const watchMemory = () => {
  const held = (): number => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const start = held()
  let peak = 0
  const timer = setInterval(() => {
    peak = Math.max(peak, held() - start)
  }, 5)
  return () => {
    clearInterval(timer)
    return Math.max(peak, held() - start)
  }
}

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  const scene = Effect.gen(function* () {
    const folder = yield* temporary
    const modulePath = write(path.join(folder, "flood.mjs"), source)
    let asked = 0
    let done = false
    const { origin, port } = yield* serve((_, response) => {
      asked++
      response.end(done && asked * 8 >= flooded ? "enough" : "more")
    })
    const runtime = yield* PluginRuntime
    const begun = yield* Deferred.make<void>()
    let lines = 0
    let characters = 0
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines++
      characters += (Array.isArray(message) ? message.join(" ") : String(message)).length
      Deferred.doneUnsafe(begun, Effect.void)
    })
    const flood = (order: string, timeout: number) =>
      runtime
        .run(
          specOn(level, {
            name: "flood",
            kind: linkifier,
            modulePath,
            timeout,
            config: { gate: origin },
            grants: { net: [`127.0.0.1:${port}`] }
          }),
          { message: { ...message, content_raw: order } }
        )
        .pipe(Effect.provide(Logger.layer([logger])))
    const other = specOn(level, {
      name: "obedient",
      kind: linkifier,
      modulePath: obedient,
      timeout: "10 seconds"
    })
    const answer = runtime.run(other, { message: { ...message, content_raw: "answer" } })
    const inRow = (count: number) => Effect.forEach(Array.from({ length: count }), () => answer)
    const together = (count: number) =>
      Effect.forEach(Array.from({ length: count }), () => answer, { concurrency: "unbounded" })
    yield* answer
    return {
      flood,
      begun,
      inRow,
      together,
      enough: () => {
        done = true
      },
      logged: () => ({ lines, characters })
    }
  })

  describe(`A plugin that floods on ${level.name}`, () => {
    it.live("until it is told to stop does not stop other plugins, and its host holds little of it", () =>
      Effect.gen(function* () {
        const { flood, begun, inRow, together, enough, logged } = yield* scene
        const peak = watchMemory()
        const flooding = yield* Effect.forkChild(flood("until", 15_000))
        yield* Deferred.await(begun)
        assert.lengthOf(yield* inRow(50), 50)
        assert.lengthOf(yield* together(200), 200)
        // It floods until `enough` is called.
        assert.isUndefined(flooding.pollUnsafe())
        enough()
        const output = yield* Fiber.join(flooding)
        assert.isAtLeast(Number(dataOf(output)["mebibytes"]), flooded)
        assert.isBelow(peak() / mebibyte, heldAtMost)
        const { lines, characters } = logged()
        // The limits of a run's log, and one line that counts the dropped lines.
        assert.isAtMost(lines, 201)
        assert.isAtMost(characters, 65 * 1024)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live("without end is stopped; other plugins run meanwhile and afterwards", () =>
      Effect.gen(function* () {
        const { flood, begun, inRow, together } = yield* scene
        const peak = watchMemory()
        const flooding = yield* Effect.forkChild(Effect.result(flood("endless", 1_000)))
        yield* Deferred.await(begun)
        assert.lengthOf(yield* together(200), 200)
        assert.lengthOf(yield* inRow(20), 20)
        const result = yield* Fiber.join(flooding)
        assert.include(["TIMEOUT", "WORKER_CRASH"], Result.isFailure(result) ? result.failure._tag : "ok")
        assert.isBelow(peak() / mebibyte, heldAtMost)
        assert.lengthOf(yield* inRow(20), 20)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
