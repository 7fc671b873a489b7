/** What clients and the log learn of a plugin's error. */
import { type PluginError, PluginErrorJson } from "@agentlip/plugin-runtime"
import type { JobError } from "@agentlip/protocol"
import { Effect, Schema } from "effect"
import type { Redactor } from "../plugins/Secrets.ts"
import type { LoggedFailure } from "./Job.ts"

const encodeError = Schema.encodeEffect(PluginErrorJson)

/** The error as it is stored with the job, without the plugin's secrets. */
export const jobErrorOf = (error: PluginError, { text, json }: Redactor): Effect.Effect<JobError> =>
  Effect.map(Effect.orDie(encodeError(error)), (encoded) => ({
    code: error._tag,
    message: text(error.message),
    error: json(encoded)
  }))

const isName = (name: string): boolean => /^[A-Za-z_$][\w$]{0,63}$/.test(name)

/** The place of the first frame of a stack, for example `plugins/links.ts:12:5`. */
const firstFrame = (stack: string, head: string): string | undefined => {
  // Skip the head: its text could look like a frame.
  const frames = stack.startsWith(head) ? stack.slice(head.length) : ""
  return /^\s+at (?:.*\()?([^\s()]+:\d+:\d+)\)?$/m.exec(frames)?.[1]
}

/**
 * The parts of an error for the log. It leaves out texts that may quote the message: those are stored with the job
 * only.
 */
export const loggedFailureOf = (error: PluginError, { text }: Redactor): LoggedFailure => {
  switch (error._tag) {
    case "LOAD_ERROR": {
      const { place } = error
      return {
        error: text(error.message),
        ...(place === undefined ? {} : { at: `${place.file}:${place.line}:${place.column}` })
      }
    }
    case "EXECUTION_ERROR": {
      const { name, message, stack = "" } = error.cause
      const at = firstFrame(stack, message === "" ? name : `${name}: ${message}`)
      return { error: isName(name) ? name : "Error", ...(at === undefined ? {} : { at: text(at) }) }
    }
    case "TIMEOUT":
      return { error: error.message }
    case "WORKER_CRASH":
      return error.exitCode === undefined ? {} : { error: `exit code ${error.exitCode}` }
    default:
      return {}
  }
}
