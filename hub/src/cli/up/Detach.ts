/** `agentlip up --detach`: the same command once more, in the background. */
import { HubError } from "@agentlip/client/Effect"
import { startHub } from "@agentlip/client/Node"
import { Context, Effect } from "effect"
import { commandFor } from "../calledAs.ts"
import { CommandError, exitCodes } from "../CommandError.ts"
import { Trust } from "../flags/Globals.ts"
import { show } from "../render/Output.ts"

/** The arguments of this command, as they were given. */
export const Arguments = Context.Reference<ReadonlyArray<string>>("@agentlip/hub/Arguments", {
  defaultValue: () => []
})

/** Flags that the command in the background gets in another way, or not at all. */
const left = ["--detach", "--trust", "--json"]

/**
 * The flags of `up` for the command in the background.
 *
 * @example
 * ```ts
 * flagsOf(["-w", "chat", "up", "--detach", "--port", "4000"]) // ["--port", "4000"]
 * ```
 */
export const flagsOf = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const flags: Array<string> = []
  let isNamed = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ""
    if (arg === "--workspace" || arg === "-w") at++
    else if (!isNamed && arg === "up") isNamed = true
    else if (!left.includes(arg) && !/^(--workspace|-w|--detach|--trust|--json)=/.test(arg)) flags.push(arg)
  }
  return flags
}

const toCommandError = (error: unknown): CommandError => {
  if (!(error instanceof HubError)) return new CommandError({ reason: String(error) })
  const { exit_code } = error.details ?? {}
  const code = exit_code === exitCodes.workspaceLocked ? "WORKSPACE_LOCKED" : error.code
  return new CommandError({ reason: error.message, code })
}

/** Starts the hub in the background, waits until it is ready, and says where it is. */
export const detach = Effect.fnUntraced(function* (workspace: string) {
  const trust = yield* Trust
  const args = flagsOf(yield* Arguments)
  const command = [process.execPath, ...process.execArgv, process.argv[1] ?? "agentlip"] as const
  const hub = yield* Effect.tryPromise({
    try: () => startHub({ workspace, trust, command, args }),
    catch: toCommandError
  })
  yield* show({ workspace, ...hub }, () => [
    `The hub of ${workspace} is at ${hub.url}, process ${hub.pid}.`,
    "",
    `  Stop it:    ${commandFor(workspace, "down")}`,
    `  Its log:    ${hub.log}`
  ])
})
