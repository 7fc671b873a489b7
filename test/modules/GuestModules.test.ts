/** The modules of a guest that ends early, and of a host that has no threads left to read them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFile } from "node:child_process"
import { createRequire, syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import { promisify } from "node:util"
import {
  CircuitBreaker,
  linkifier,
  makeSpec,
  moduleIntegrity,
  PluginRuntime,
  WorkerLayer
} from "../../src/index.ts"
import { FirstFrames } from "../../src/modules/FirstFrames.ts"
import { GuestModules } from "../../src/modules/GuestModules.ts"
import { KeptVersions, Version } from "../../src/modules/KeptVersions.ts"
import { KnownRequests } from "../../src/modules/KnownRequests.ts"
import { LoaderPool } from "../../src/modules/LoaderPool.ts"
import type { Done } from "../../src/modules/LoaderThread.ts"
import type { LoaderJob } from "../../src/modules/loaderMessages.ts"
import { message } from "../support/isolation.ts"
import { failing, temporary, write } from "../support/plugins.ts"

const execute = promisify(execFile)

const threads: typeof import("node:worker_threads") = createRequire(import.meta.url)("node:worker_threads")

/** Replaces the class of threads until the scope closes. */
const withWorker = (make: (Worker: typeof threads.Worker) => typeof threads.Worker) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { Worker } = threads
      threads.Worker = make(Worker)
      syncBuiltinESMExports()
      return Worker
    }),
    (Worker) =>
      Effect.sync(() => {
        threads.Worker = Worker
        syncBuiltinESMExports()
      })
  )

/** As if the system had no thread left: threads of module loaders cannot be started. */
const noLoaderThreads = withWorker(
  (Worker) =>
    class extends Worker {
      constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
        if (options?.name === "agentlip-module-loader") throw new Error("ERR_WORKER_INIT_FAILED")
        super(file, options)
      }
    }
)

const layer = PluginRuntime.layer.pipe(
  Layer.provide(CircuitBreaker.layer()),
  Layer.provide(WorkerLayer.layer({ spares: 0, prepare: [] }))
)

describe("The modules of a guest", () => {
  it.live("if no thread can be started to read them, the run fails; the next one tries again", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const specs = ["one", "two"].map((name) =>
        makeSpec({
          name,
          kind: linkifier,
          modulePath: write(path.join(folder, `${name}.mjs`), "export default { enrich: () => [] }"),
          timeout: "1 minute"
        })
      )
      const runtime = yield* PluginRuntime
      const runs = specs.map((spec) => runtime.run(spec, { message }))
      yield* Effect.gen(function* () {
        yield* noLoaderThreads
        const errors = yield* Effect.forEach([...runs, ...runs], (run) => failing(run, "LOAD_ERROR"), {
          concurrency: "unbounded"
        })
        for (const error of errors) assert.include(error.message, "could not be started")
      }).pipe(Effect.scoped)
      for (const run of runs) assert.deepStrictEqual(yield* run, [])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("if no thread can be started to hash them, hashing fails", () =>
    Effect.gen(function* () {
      const entry = write(path.join(yield* temporary, "one.mjs"), "export default {}")
      const error = yield* Effect.flip(moduleIntegrity(entry)).pipe(
        Effect.provide(Layer.effectDiscard(noLoaderThreads))
      )
      assert.strictEqual(error._tag, "LOAD_ERROR")
      assert.include(error.message, "could not be started")
      assert.match(yield* moduleIntegrity(entry), /^sha256-/)
    }).pipe(Effect.scoped)
  )

  it.live("are hashed in a thread that ends with it", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const exits: Array<Promise<unknown>> = []
      yield* withWorker(
        (Worker) =>
          class extends Worker {
            constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
              super(file, options)
              exits.push(new Promise((resolve) => this.on("exit", resolve)))
            }
            override terminate(): Promise<number> {
              events.push("terminated")
              return super.terminate()
            }
          }
      )
      const entry = write(path.join(yield* temporary, "one.mjs"), "export default {}")
      assert.match(yield* moduleIntegrity(entry), /^sha256-/)
      events.push("hashed")
      assert.deepStrictEqual(events, ["terminated", "hashed"])
      // A busy system may need longer for that than the hash waits for it.
      yield* Effect.promise(() => Promise.all(exits))
    }).pipe(Effect.scoped)
  )

  it.live("keep no process alive once they are hashed", () =>
    Effect.gen(function* () {
      const entry = write(path.join(yield* temporary, "one.mjs"), "export default {}")
      const code = `
        import { Effect } from "effect"
        import { moduleIntegrity } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)}
        console.log(await Effect.runPromise(moduleIntegrity(${JSON.stringify(entry)})))
        console.log(process.getActiveResourcesInfo().filter((type) => type === "Timeout").length)`
      const args = ["--conditions=@agentlip/source", "--input-type=module", "--eval", code]
      const { stdout } = yield* Effect.promise(() => execute(process.execPath, args))
      assert.match(stdout, /^sha256-.*\n0\n$/)
    }).pipe(Effect.scoped)
  )

  it.live("are not loaded once it has ended", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const entry = write(path.join(folder, "entry.mjs"), "export default {}")
      const kept = new KeptVersions()
      kept.loaded(entry, new Version(undefined, true))
      // It has failed with files that have changed since, so the guest asks for their states and then for a load.
      const broken = new Version(undefined, true)
      broken.files.set(entry, "before")
      broken.watched.set(entry, "before")
      assert.isTrue(yield* Effect.promise(() => kept.failed(entry, broken, async () => new Map())))

      const jobs: Array<string> = []
      const looked = Promise.withResolvers<void>()
      class WatchedPool extends LoaderPool {
        override submit(key: string, job: LoaderJob, done: Done): () => void {
          jobs.push(job.type)
          return super.submit(key, job, (result) => {
            guest.close()
            done(result)
            looked.resolve()
          })
        }
      }
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => new WatchedPool()),
        (pool) => Effect.promise(() => pool.close())
      )
      yield* Effect.promise(() => pool.start())
      const guest = new GuestModules({
        guest: 0,
        plugin: { entry },
        pool,
        known: new KnownRequests(),
        frames: new FirstFrames(),
        kept,
        keep: true
      })
      guest.serve({ send: () => assert.fail("nothing is sent"), broken: assert.fail })
      yield* Effect.promise(() => looked.promise)
      // What the guest makes of the states takes no longer than this turn.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(jobs, ["states"])
    }).pipe(Effect.scoped)
  )
})
