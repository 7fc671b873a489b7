/**
 * Runs other people's plugins as Effects: typed errors, deadlines that kill, circuit breakers, isolation, guarded
 * commits. The README shows how the Layers compose.
 */
export * from "./CircuitBreaker.ts"
export { codeFrame, frameAt } from "./codeFrame.ts"
export { IsolationLevel } from "./Capabilities.ts"
export { grantsSnippet } from "./capabilities/declared.ts"
export { checkEngine, type EngineWarning, engineWarning } from "./capabilities/engines.ts"
export * from "./Config.ts"
export * from "./ConfigError.ts"
export * from "./Errors.ts"
export { Grants } from "./Grants.ts"
export type { PluginInfo } from "./wire/messages.ts"
export {
  type OutcomeLabel,
  type PastError,
  type PluginReport,
  PluginStats,
  type Quantiles
} from "./Metrics.ts"
export { moduleIntegrity } from "./integrity.ts"
export { kindOf } from "./kindOf.ts"
export * from "./Plugin.ts"
export * from "./PluginKinds.ts"
export { PrepareError } from "./PrepareError.ts"
export { type CacheBounds, type CacheStats, ResultCache } from "./ResultCache.ts"
export * from "./RunObserver.ts"
export * from "./Runtime.ts"
export * from "./Staleness.ts"
export * from "./watchConfig.ts"
export { watchModule, type WatchedModule, type WatchModuleOptions } from "./watchModule.ts"
export * from "./WorkerLayer.ts"
