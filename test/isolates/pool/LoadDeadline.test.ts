/** Specs of one plugin with different timeouts share a pool. Each keeps its own deadline, for the load too. */
import { CircuitBreaker, linkifier, makeSpec, PluginRuntime, WorkerLayer } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { message } from "../../support/isolation.ts"

const layer = PluginRuntime.layer.pipe(
  Layer.provide(CircuitBreaker.layer()),
  Layer.provideMerge(WorkerLayer.layer({ spares: 0 }))
)

const stuck = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "load-deadline-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
).pipe(
  Effect.map((folder) => {
    const file = path.join(folder, "plugin.mjs")
    fs.writeFileSync(
      file,
      "await new Promise(() => {})\nexport default { name: 'x', version: '1', enrich: () => [] }"
    )
    return file
  })
)

describe("The deadline of a load", () => {
  for (const isolation of ["thread", "process", "wasm"] as const) {
    for (const first of ["run", "load"] as const) {
      it.live(`on ${isolation} is that of the requested spec, after a ${first} with another`, () =>
        Effect.gen(function* () {
          const plugins = yield* PluginRuntime
          const modulePath = yield* stuck
          const specOf = (timeout: "1 hour" | "1 second") =>
            makeSpec({ name: "stuck", kind: linkifier, modulePath, isolation, timeout })
          const patient = specOf("1 hour")
          const waiting = yield* Effect.forkChild(
            first === "run"
              ? Effect.asVoid(plugins.run(patient, { message }))
              : Effect.asVoid(plugins.load(patient))
          )
          yield* Effect.repeat(
            WorkerLayer.use(({ stats }) => stats),
            { until: ({ isolates }) => isolates > 0 }
          )
          yield* Fiber.interrupt(waiting)
          const error = yield* Effect.flip(plugins.run(specOf("1 second"), { message }))
          assert.strictEqual(error._tag, "TIMEOUT")
          if (error._tag === "TIMEOUT") assert.strictEqual(Duration.toSeconds(error.timeout), 1)
          const loading = yield* Effect.flip(plugins.load(specOf("1 second")))
          assert.strictEqual(loading._tag, "TIMEOUT")
        }).pipe(Effect.provide(layer))
      )
    }
  }
})
