/** A host that was paused does not blame a plugin for it. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { CircuitBreaker } from "../../../src/CircuitBreaker.ts"
import { PluginTimeout } from "../../../src/Errors.ts"
import { HostPauses, sleepExactly, waitOn } from "../../../src/isolates/watch/HostPauses.ts"

describe("An exact sleep", () => {
  /** What it asks of a clock, in milliseconds. */
  const asked = (clock: Clock.Clock, millis: number): Effect.Effect<ReadonlyArray<number>> =>
    Effect.suspend(() => {
      const sleep = vi.spyOn(clock, "sleep").mockReturnValue(Effect.void)
      return Effect.as(sleepExactly(clock, millis), sleep).pipe(
        Effect.map(({ mock }) => mock.calls.map(([duration]) => Duration.toMillis(duration))),
        Effect.ensuring(Effect.sync(() => sleep.mockRestore()))
      )
    })

  it.live("ends before the last millisecond, and waits for that in turns of the event loop", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      assert.deepStrictEqual(yield* asked(clock, 59.7), [59])
      assert.deepStrictEqual(yield* asked(clock, 1), [1])
      let turned = false
      setImmediate(() => (turned = true))
      assert.deepStrictEqual(yield* asked(clock, 0.7), [])
      assert.isTrue(turned)
    })
  )

  it.effect("leaves a clock that a test sets alone: turns do not move it", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      assert.deepStrictEqual(yield* asked(clock, 59.7), [60])
      assert.deepStrictEqual(yield* asked(clock, 0.7), [1])
    })
  )
})

describe("Pauses of the host", () => {
  const make = () => {
    const time = { now: 0, cpu: 0 }
    const pauses = new HostPauses({ now: () => time.now, cpu: () => time.cpu })
    const pass = (now: number, cpu: number): number => {
      time.now += now
      time.cpu += cpu
      return pauses.total()
    }
    return { pauses, pass }
  }

  it("are late ticks during which the host did no work", () => {
    const { pauses, pass } = make()
    pauses.hold()
    assert.strictEqual(pass(100, 1), 0)
    pauses.tick()
    assert.strictEqual(pass(9_100, 0), 9_000)
    assert.strictEqual(pass(100, 1), 9_000, "once")
    pauses.tick()
    // The host's own work, such as a garbage collection of two seconds.
    assert.strictEqual(pass(2_100, 2_050), 9_000)
    // Two seconds of work, then four seconds of pause.
    pauses.tick()
    assert.strictEqual(pass(6_100, 2_000), 13_000)
    pauses.release()
  })

  it("do not include busy times", () => {
    const { pauses, pass } = make()
    pauses.hold()
    for (let tick = 0; tick < 100; tick++) assert.strictEqual(pass(550, 10), 0)
    pauses.release()
  })

  it("do not count while no run is under way", () => {
    const { pauses, pass } = make()
    assert.strictEqual(pass(60_000, 0), 0)
    pauses.hold()
    pauses.hold()
    pauses.release()
    assert.strictEqual(pass(1_100, 0), 1_000)
    pauses.release()
    assert.strictEqual(pass(60_000, 0), 1_000)
    pauses.hold()
    assert.strictEqual(pass(100, 0), 1_000)
    pauses.release()
  })

  it("lengthen a wait; a wait that ends late leaves a moment to read messages", () => {
    assert.strictEqual(waitOn(5_000, 5_010, 0), 0)
    assert.strictEqual(waitOn(5_000, 5_200, 0), 100)
    assert.strictEqual(waitOn(5_000, 10_000, 9_000), 4_000)
    assert.strictEqual(waitOn(5_000, 13_990, 9_000), 100)
  })

  it.effect("keep a TIMEOUT from counting as a failure", () =>
    Effect.gen(function* () {
      const timeout = new PluginTimeout({ plugin: "p", timeout: Duration.seconds(5), phase: "run" })
      const paused = new PluginTimeout({ ...timeout, hostPaused: Duration.seconds(9) })
      const breaker = yield* CircuitBreaker
      yield* Effect.flip(breaker.protect("p")(Effect.fail(paused)))
      assert.deepStrictEqual(yield* breaker.state("p"), { _tag: "Closed", failures: 0 })
      yield* Effect.flip(breaker.protect("p")(Effect.fail(timeout)))
      assert.strictEqual((yield* breaker.state("p"))._tag, "Open")
      assert.include(paused.message, "The host was paused for 9 s meanwhile")
    }).pipe(Effect.provide(CircuitBreaker.layer({ failureThreshold: 1 })))
  )
})

const hostFile = fileURLToPath(new URL("../../fixtures/pauses/host.ts", import.meta.url))

/** Runs a host, and stops it for four seconds after its plugin has begun. */
const stopped = async (level: string, how: string) => {
  const host = spawn(process.execPath, ["--conditions=@agentlip/source", hostFile, level, how], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const lines: Array<string> = []
  for await (const line of createInterface(host.stdout)) {
    lines.push(line)
    if (line !== "begun") continue
    host.kill("SIGSTOP")
    setTimeout(() => host.kill("SIGCONT"), 4_000)
  }
  return JSON.parse(lines.at(-1) ?? "")
}

const patience = 60_000

describe.skipIf(process.platform === "win32").concurrent.each(["thread", "process", "wasm"])(
  "A host that is stopped for four seconds, on level %s",
  (level) => {
    it.each(["works", "waits", "loads"])(
      "gets the output of a plugin that %s for one second, with a timeout of two",
      async (how) => {
        const { code, message, circuit, zombies } = await stopped(level, how)
        assert.strictEqual(code, "OK", message)
        assert.deepStrictEqual(circuit, { _tag: "Closed", failures: 0 })
        assert.strictEqual(zombies, 0)
      },
      patience
    )

    it(
      "does not open the circuit of a plugin that spins past its deadline",
      async () => {
        const { code, message, circuit, zombies } = await stopped(level, "spins")
        assert.strictEqual(code, "TIMEOUT")
        assert.match(message, /did not answer after 2 s .*The host was paused for [34](\.\d)? s meanwhile/)
        assert.deepStrictEqual(circuit, { _tag: "Closed", failures: 0 })
        assert.strictEqual(zombies, 0)
      },
      patience
    )
  }
)
