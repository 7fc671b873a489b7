/**
 * For tests. `testRun` is for plugins. For hubs: the real runtime and breaker with fake plugins, so handlers get the same
 * failures as in production.
 */
import { Layer } from "effect"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import type { BreakerOptions } from "./CircuitBreaker.ts"
import type { PluginStats } from "./Metrics.ts"
import { PluginRuntime } from "./Runtime.ts"
import { type FakePlugin, WorkerLayer } from "./WorkerLayer.ts"

export { testRun, type TestRunOptions } from "./testRun.ts"

/**
 * A `PluginRuntime` whose plugins are functions, by the names of their specs.
 *
 * @example
 * ```ts
 * const runtime = layerFakePlugins({
 *   urls: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 4 }, data: {} }]),
 *   slow: () => Effect.never
 * })
 * ```
 */
export const layerFakePlugins = (
  plugins: { readonly [name: string]: FakePlugin },
  breaker?: BreakerOptions
): Layer.Layer<PluginRuntime | PluginStats | CircuitBreaker | WorkerLayer> =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(CircuitBreaker.layer(breaker), WorkerLayer.layerTest(plugins)))
  )
