/** `agentlip down`: stops the hub of a workspace. */
import { Effect, Schedule } from "effect"
import { Command } from "effect/cli"
import { Workspace } from "../../workspace/Workspace.ts"
import { type Holder, holderOf, isAlive } from "../../workspace/Holder.ts"
import { CommandError } from "../CommandError.ts"
import { connect } from "../hub/HubClient.ts"
import { show } from "../render/Output.ts"

/** A hub stops within two seconds, but a machine may be slow. */
const within = "20 seconds"

const notStopped = (reason: string) => new CommandError({ reason, code: "NOT_STOPPED" })

const signal = (pid: number) =>
  Effect.try({
    try: () => process.kill(pid, "SIGTERM"),
    catch: (cause) => notStopped(`Process ${pid} could not be stopped: ${String(cause)}`)
  })

const gone = (holder: Holder) =>
  Effect.sync(() => isAlive(holder)).pipe(
    Effect.repeat({ while: (alive) => alive, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({
      duration: within,
      orElse: () =>
        Effect.fail(
          notStopped(
            `The hub, process ${holder.pid}, was told to stop but still runs after ${within}. ` +
              `Nothing is lost if you kill it: kill -9 ${holder.pid}`
          )
        )
    })
  )

export const down = Command.make("down", {}, () =>
  Effect.gen(function* () {
    const { workspace, health: askHealth } = yield* connect
    const health = yield* askHealth
    const holder = yield* Effect.try({
      try: () => holderOf(Workspace.pathsOf(workspace).folder),
      catch: (cause) => notStopped(`The workspace's lock cannot be read: ${String(cause)}`)
    })
    // The lock has the start time of its process, so that a process that reuses its id is never signalled.
    if (holder?.instance_id !== health.instance_id || holder.pid !== health.pid || !isAlive(holder)) {
      return yield* notStopped(
        `The hub of ${workspace} is not a process of this machine (it says it is process ${health.pid}); ` +
          "stop it where it runs"
      )
    }
    yield* signal(holder.pid)
    yield* gone(holder)
    yield* show({ stopped: true, pid: holder.pid, workspace }, () => `The hub of ${workspace} has stopped.`)
  })
).pipe(
  Command.withDescription("Stop the hub of a workspace and wait until its process has ended"),
  Command.withExamples([{ command: "agentlip down" }, { command: "agentlip down --workspace chat" }])
)
