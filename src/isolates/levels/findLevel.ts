/** Finds out which isolation levels can run plugins on this host. */
import { Effect, Result } from "effect"
import type { IsolationLevel } from "../../Capabilities.ts"
import { checkEngine, toInstall } from "../../capabilities/engines.ts"
import { thisHost } from "../../capabilities/matrix.ts"
import { type PrepareError, unprepared } from "../../PrepareError.ts"
import { checkBootFiles } from "../guestFiles.ts"
import type { IsolateFactory } from "./IsolateFactory.ts"
import { processFactory, threadFactory, wasmFactory } from "./isolateFactories.ts"
import { findProcessHost, type ProcessHostOptions } from "./process/ProcessHost.ts"

export interface LevelOptions extends ProcessHostOptions {
  /** Whether threads may run without permissions. */
  readonly trusted?: boolean
  /** Whether threads can be debugged. */
  readonly inspectable?: boolean
}

/** The name and version of this runtime. */
export const runtimeName =
  process.versions.bun === undefined ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`

/** Whether threads have permissions of their own on this runtime. */
export const threadsAreConfined = thisHost.runtime === "node"

const untrustedThreads = (): PrepareError => {
  const isBun = process.versions.bun !== undefined
  const checked = isBun ? Result.void : checkEngine("thread", process.versions.node)
  const { reason, remedy } = Result.isFailure(checked)
    ? checked.failure
    : unprepared(`isolation "thread" confines nothing on ${runtimeName}`, `run the hub on ${toInstall()}`)
  return unprepared(
    reason,
    `${remedy}, use isolation "process", or set \`trusted: true\` if you wrote all plugins yourself`
  )
}

/** The factory of a level. Fails if the level cannot run plugins here. */
export const findLevel = Effect.fnUntraced(function* (
  name: IsolationLevel,
  options: LevelOptions
): Effect.fn.Return<IsolateFactory, PrepareError> {
  if (threadsAreConfined || name === "process") yield* checkBootFiles
  switch (name) {
    case "thread":
      return threadsAreConfined || options.trusted === true
        ? threadFactory(threadsAreConfined, options.inspectable)
        : yield* untrustedThreads()
    case "process":
      return yield* processFactory(yield* findProcessHost(options))
    case "wasm":
      return wasmFactory(threadsAreConfined)
  }
})
