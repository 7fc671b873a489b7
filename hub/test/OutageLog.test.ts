/** What the log says of faults that pass. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { Outage } from "../src/database/Outage.ts"

describe("Outage", () => {
  it.effect("is logged once when it begins and once when it is over", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
      const outage = new Outage({ begun: "lost", ended: "found", level: "Error" })
      yield* Effect.gen(function* () {
        yield* outage.over
        for (const _ of [1, 2, 3]) yield* outage.log("why")
        yield* outage.over
        yield* outage.over
        yield* outage.log("again")
      }).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Info")
      )
      assert.deepStrictEqual(lines, ["Error lost,why", "Info found", "Error lost,again"])
    })
  )
})
