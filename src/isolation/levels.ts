/** The isolation levels: how each boots its isolates, and what it must know of a spec to do so. */
import { Effect, Exit } from "effect"
import { timeoutAwake } from "./HostPauses.ts"
import { Isolate } from "./Isolate.ts"
import { bubblewrapProblem } from "./bubblewrap.ts"
import { canReach } from "./executables.ts"
import { type Birth, type Level, noPermissions, permissionsOf } from "./Level.ts"
import { type ProcessHost, startProcess } from "./process.ts"
import { startThread } from "./thread.ts"
import { compileQuickJS, startWasm } from "./wasm.ts"
import type { Death, Transport, TransportEvents } from "./Transport.ts"
import { defaultLimits } from "../Plugin.ts"

/** An isolate that has not said hello by then never will. */
const bootTimeout = 10_000

const bootIsolate = (
  start: (events: TransportEvents) => Transport,
  what: string,
  timeout = bootTimeout
): Effect.Effect<Isolate, Death> =>
  Effect.try({
    try: () => new Isolate(start),
    catch: (error): Death => ({ reason: `its ${what} could not be started (${String(error)})` })
  }).pipe(
    Effect.tap((isolate) =>
      isolate.booted.pipe(
        timeoutAwake(timeout, () =>
          Effect.fail<Death>({ reason: `its ${what} did not boot within ${bootTimeout / 1000} seconds` })
        ),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : isolate.kill))
      )
    )
  )

/**
 * Worker threads; `confined` is false where they have no permissions of their own. An `inspectable` one boots when
 * whoever debugs it lets it.
 */
export const threadLevel = (confined: boolean, inspectable = false): Level => ({
  name: "thread",
  standardBirth: noPermissions,
  birthOf: (spec, grants) => Effect.succeed(permissionsOf(spec, grants)),
  boot: (birth) =>
    bootIsolate(
      startThread(birth, confined, inspectable),
      "thread",
      inspectable ? Number.POSITIVE_INFINITY : bootTimeout
    )
})

/** QuickJS in WebAssembly, in threads that the host can end; `confined` as for threads. */
export const wasmLevel = (confined: boolean): Level => ({
  name: "wasm",
  standardBirth: { ...noPermissions, memory: defaultLimits.memory },
  birthOf: (spec) => Effect.succeed({ ...noPermissions, memory: spec.limits.memory }),
  boot: (birth) =>
    Effect.flatMap(compileQuickJS, (module) => bootIsolate(startWasm(birth, module, confined), "thread"))
})

/** Which grant is worth nothing to the user that processes run as, and the remedy. */
const outOfReach = ({ read, write }: Birth, { user }: ProcessHost): string | undefined => {
  if (user === undefined) return undefined
  for (const [use, files] of [
    ["read", read],
    ["write", write]
  ] as const) {
    const file = files.find((file) => !canReach(user, file, use))
    if (file === undefined) continue
    return `grants.${use} "${file}" is of no use: the hub is root, its plugins run as user ${user.uid}, and that user may not ${use} there, or it is gone; change the owner or the mode of the path, or give WorkerLayer the option \`user: "host"\``
  }
  return undefined
}

/** Processes of the operating system. */
export const processLevel = (host: ProcessHost): Effect.Effect<Level> =>
  Effect.gen(function* () {
    const sandboxProblem = yield* Effect.cached(bubblewrapProblem(host.user))
    const warned = yield* Effect.cached(
      host.warning === undefined ? Effect.void : Effect.logWarning(host.warning)
    )
    return {
      name: "process",
      standardBirth: { ...noPermissions, memory: defaultLimits.memory, bubblewrap: false },
      birthOf: (spec, grants) => {
        const birth: Birth = { ...permissionsOf(spec, grants), memory: spec.limits.memory, bubblewrap: false }
        const blocked = outOfReach(birth, host)
        if (blocked !== undefined) return Effect.fail(blocked)
        if (spec.sandbox === "none") return Effect.as(warned, birth)
        if (birth.audit) {
          return Effect.fail(
            'enforcement "audit" lets through what a sandbox would not; use sandbox "none" for the audit'
          )
        }
        return Effect.flatMap(sandboxProblem, (problem) => {
          if (problem === undefined) return Effect.as(warned, { ...birth, bubblewrap: true })
          return spec.sandbox === "auto" ? Effect.as(warned, birth) : Effect.fail(problem)
        })
      },
      boot: (birth) => bootIsolate(startProcess(birth, host), "process")
    }
  })
