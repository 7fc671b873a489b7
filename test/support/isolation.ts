/** The isolation levels that the contract suite and the zoo are run on. A new level joins by a line here. */
import { Layer } from "effect"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import type { PluginSpec, PluginSpecOptions } from "../../src/Plugin.ts"
import type { AnyKind } from "../../src/PluginKinds.ts"
import { makeSpec } from "../../src/Plugin.ts"
import type { IsolationLevel } from "../../src/Capabilities.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer, type WorkerOptions } from "../../src/WorkerLayer.ts"

export interface Level {
  readonly name: string
  readonly isolation: IsolationLevel
  readonly reuse: PluginSpec["reuse"]
}

export const levels: ReadonlyArray<Level> = [
  { name: "thread, reused", isolation: "thread", reuse: "plugin" },
  { name: "thread, fresh for each run", isolation: "thread", reuse: "never" },
  { name: "process, reused", isolation: "process", reuse: "plugin" },
  { name: "process, fresh for each run", isolation: "process", reuse: "never" },
  { name: "wasm, reused", isolation: "wasm", reuse: "plugin" },
  { name: "wasm, fresh for each run", isolation: "wasm", reuse: "never" }
]

/** A whole runtime; its breaker stays out of the way unless a test wants it, and nothing is booted that is not run. */
export const layerRuntime = (failureThreshold = 1_000_000, workers: WorkerOptions = {}) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        CircuitBreaker.layer({ failureThreshold }),
        WorkerLayer.layer({ spares: 0, prepare: [], idleTimeToLive: "2 seconds", ...workers })
      )
    )
  )

/** A spec for a plugin on that level. */
export const specOn = <Kind extends AnyKind>(
  level: Level,
  options: PluginSpecOptions<Kind>
): PluginSpec<Kind> => makeSpec({ isolation: level.isolation, reuse: level.reuse, ...options })

/** A message to ask plugins about. */
export const message = {
  id: "message-1",
  content_raw: "hello, world",
  sender: "ada",
  topic_id: "topic-1",
  channel_id: "channel-1",
  created_at: "2026-01-01T00:00:00.000Z"
}
