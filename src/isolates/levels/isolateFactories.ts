/** The isolation levels: how each boots its isolates, and with which options for a spec. */
import { Effect, Result } from "effect"
import { bootIsolate } from "./bootIsolate.ts"
import { checkBubblewrap } from "./process/bubblewrap.ts"
import { canReach } from "./process/executables.ts"
import { type BootOptions, type IsolateFactory, noPermissions, permissionsOf } from "./IsolateFactory.ts"
import type { ProcessHost } from "./process/ProcessHost.ts"
import { startProcess } from "./process/startProcess.ts"
import { startThread } from "./thread/startThread.ts"
import { compileQuickJS, startWasm } from "./wasm/startWasm.ts"
import { defaultLimits } from "../../Plugin.ts"
import { type PrepareError, unprepared } from "../../PrepareError.ts"

/**
 * Worker threads. `confined` is false if this runtime has no permissions for threads. An `inspectable` thread may wait
 * for its debugger, so its boot has no deadline.
 */
export const threadFactory = (confined: boolean, inspectable = false): IsolateFactory => ({
  name: "thread",
  standardBootOptions: noPermissions,
  bootOptionsFor: (spec, grants) => Effect.succeed(permissionsOf(spec, grants)),
  boot: (bootOptions, fork) =>
    bootIsolate({
      start: startThread(bootOptions, confined, inspectable),
      what: "thread",
      fork,
      ...(inspectable ? { timeout: Number.POSITIVE_INFINITY } : {})
    })
})

/** QuickJS in WebAssembly, in threads that the host can end; `confined` as for threads. */
export const wasmFactory = (confined: boolean): IsolateFactory => ({
  name: "wasm",
  standardBootOptions: { ...noPermissions, memory: defaultLimits.memory },
  bootOptionsFor: (spec) => Effect.succeed({ ...noPermissions, memory: spec.limits.memory }),
  boot: (bootOptions, fork) =>
    Effect.flatMap(compileQuickJS, (module) =>
      bootIsolate({ start: startWasm(bootOptions, module, confined), what: "thread", fork })
    )
})

/** Checks that the user that processes run as can use each granted path. */
const checkReach = (
  { read, write }: BootOptions,
  { user }: ProcessHost
): Effect.Effect<void, PrepareError> => {
  if (user === undefined) return Effect.void
  for (const [use, files] of [
    ["read", read],
    ["write", write]
  ] as const) {
    const file = files.find((file) => !canReach(user, file, use))
    if (file === undefined) continue
    return Effect.fail(
      unprepared(
        `grants.${use} "${file}" has no effect: plugin processes run as user ${user.uid}, which cannot ${use} it`,
        'change the owner or the mode of the path, or pass `user: "host"` to WorkerLayer'
      )
    )
  }
  return Effect.void
}

export const processFactory = Effect.fnUntraced(function* (
  host: ProcessHost
): Effect.fn.Return<IsolateFactory> {
  const sandboxed = yield* Effect.cached(checkBubblewrap(host.user))
  const warned = yield* Effect.cached(
    host.warning === undefined ? Effect.void : Effect.logWarning(host.warning)
  )
  return {
    name: "process",
    standardBootOptions: { ...noPermissions, memory: defaultLimits.memory, bubblewrap: false },
    bootOptionsFor: Effect.fnUntraced(function* (spec, grants) {
      const bootOptions: BootOptions = {
        ...permissionsOf(spec, grants),
        memory: spec.limits.memory,
        bubblewrap: false
      }
      yield* checkReach(bootOptions, host)
      if (spec.sandbox !== "none" && bootOptions.audit) {
        return yield* unprepared(
          'enforcement "audit" allows what a sandbox would block',
          'use sandbox "none" for the audit'
        )
      }
      const checked = spec.sandbox === "none" ? undefined : yield* Effect.result(sandboxed)
      if (checked !== undefined && Result.isFailure(checked) && spec.sandbox === "bubblewrap") {
        return yield* checked.failure
      }
      yield* warned
      return { ...bootOptions, bubblewrap: checked !== undefined && Result.isSuccess(checked) }
    }),
    boot: (bootOptions, fork) =>
      Effect.flatMap(host.setpriv, (setpriv) =>
        bootIsolate({ start: startProcess(bootOptions, host, setpriv), what: "process", fork })
      )
  }
})
