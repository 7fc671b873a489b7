/** Fake plugins for tests: functions instead of isolates, with the same rules for deadlines and outputs. */
import { Effect, Fiber, FiberSet, type Scope, Semaphore } from "effect"
import type { Fork } from "../Fork.ts"
import { InvalidOutput, LoadError, type PluginError, PluginTimeout } from "../Errors.ts"
import { getOrMake } from "../getOrMake.ts"
import type { PluginSpec } from "../Plugin.ts"
import { joinInput } from "../wire/runInput.ts"
import { type PreparedPlugin, type Submission, unavailable, type Workers } from "./Workers.ts"

/** What a fake plugin does. `input` is what the real plugin would get. */
export type FakePlugin = (input: unknown) => Effect.Effect<unknown, PluginError>

/** What every fake states as its version. */
const fakeVersion = "test"

type Fakes = { readonly [name: string]: FakePlugin }

const missing = (fakes: Fakes, { name, modulePath }: PluginSpec): LoadError => {
  const known = Object.keys(fakes).map((name) => `"${name}"`)
  return new LoadError({
    plugin: name,
    modulePath,
    reason: `layerTest has no plugin of that name; it has ${known.join(", ") || "none"}`
  })
}

const textOf = (plugin: string, output: unknown): Effect.Effect<string, InvalidOutput> =>
  Effect.try({
    try: () => JSON.stringify(output) ?? "undefined",
    catch: (error) =>
      new InvalidOutput({
        plugin,
        issue: `expected a value that can be written as JSON, got one that cannot (${String(error)})`
      })
  })

const runFake = (fake: FakePlugin, run: Submission): Effect.Effect<string, PluginError> =>
  Effect.suspend(() => {
    const { name, config, timeout } = run.spec
    run.begun = performance.now()
    run.version = fakeVersion
    return fake({ ...joinInput(run.input), config }).pipe(
      Effect.annotateLogs(run.labels),
      Effect.flatMap((output) => textOf(name, output)),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(new PluginTimeout({ plugin: name, timeout, phase: "run" }))
      })
    )
  })

/** Runs up to the spec's `concurrency` at once; the others wait, as they would for isolates. */
const prepareFake = (fake: FakePlugin, { name, concurrency }: PluginSpec, fork: Fork): PreparedPlugin => {
  const places = Semaphore.makeUnsafe(concurrency)
  let submitted = 0
  const running = (run: Submission): Effect.Effect<string, PluginError> =>
    Effect.suspend(() => {
      const waits = submitted++ >= concurrency
      const readmitted = Effect.suspend(() => (waits ? (run.readmit() ?? Effect.void) : Effect.void))
      return Semaphore.withPermit(places, Effect.andThen(readmitted, runFake(fake, run)))
    })
  return {
    submit: (run) => {
      let isCancelled = false
      const fiber = fork(
        Effect.onExit(running(run), (exit) =>
          Effect.sync(() => {
            submitted--
            if (!isCancelled) run.answer(exit)
          })
        ).pipe(Effect.exit, Effect.provideContext(run.fiber.context))
      )
      return Effect.suspend(() => {
        isCancelled = true
        return Effect.asVoid(Fiber.interrupt(fiber))
      })
    },
    load: Effect.succeed({ name, version: fakeVersion, methods: ["enrich"] }),
    waiting: () => Math.max(0, submitted - concurrency),
    hasEarlier: () => false
  }
}

export const makeFakes = Effect.fnUntraced(function* (
  fakes: Fakes
): Effect.fn.Return<Workers, never, Scope.Scope> {
  const fork = yield* FiberSet.makeRuntime<never>()
  const prepared = new Map<string, PreparedPlugin>()
  return {
    prepare: (spec) => {
      const fake = fakes[spec.name]
      if (fake === undefined) return unavailable(missing(fakes, spec))
      const key = `${spec.concurrency} ${spec.name}`
      return getOrMake(prepared, key, () => prepareFake(fake, spec, fork))
    },
    stats: Effect.succeed({ isolates: 0, zombies: 0, levels: new Map() }),
    zombies: () => 0,
    outdated: Effect.succeed(new Map()),
    audits: Effect.succeed(new Map())
  }
})
