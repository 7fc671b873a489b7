/** When a change of files counts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { statesOf } from "../src/fileStates.ts"
import { untilChanged } from "../src/watchFiles.ts"
import { temporary, write } from "./support/plugins.ts"

describe("untilChanged", () => {
  it.effect(
    "ignores a file that is still being written, and returns once it is left alone for an interval",
    () =>
      Effect.gen(function* () {
        const file = path.join(yield* temporary, "config.ts")
        write(file, "")
        const look = () => statesOf([file])
        const changed = yield* Effect.forkChild(untilChanged(look(), { look, interval: "1 second" }))
        const isDone = () => changed.pollUnsafe() !== undefined
        yield* TestClock.adjust("10 seconds")
        assert.isFalse(isDone(), "nothing has changed")
        for (const text of ["e", "ex", "exp", "expo"]) {
          write(file, text)
          yield* TestClock.adjust("1 second")
          assert.isFalse(isDone(), `after ${text}`)
        }
        yield* TestClock.adjust("1 second")
        assert.isTrue(isDone())
        yield* Fiber.join(changed)
      })
  )
})
