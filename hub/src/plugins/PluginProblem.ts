/** A plugin's error for its author: the place, the code there, the plugin's own stack, and what to do. */
import { printable } from "@agentlip/plugin-runtime/text"
import { type CodePlace, type ConfiguredSpec, frameAt, type PluginError } from "@agentlip/plugin-runtime"
import type { PluginProblem, StackFrame } from "@agentlip/protocol"
import { fileURLToPath } from "node:url"

const fileOf = (where: string): string | undefined => {
  try {
    return where.startsWith("file:") ? fileURLToPath(where) : where
  } catch {
    // A URL that the plugin made up: not a file.
    return undefined
  }
}

/** The runtime gives a path for compiled sources and a URL for others. */
const framePattern = /^\s+at (?:(.+) \()?((?:file:\/\/|\/|[A-Za-z]:\\).+?):(\d{1,9}):(\d{1,9})\)?$/

/** The names that engines use for a module's top-level code. */
const atTop: ReadonlySet<string> = new Set(["Object.<anonymous>", "<anonymous>"])

const framesOf = (stack: string): ReadonlyArray<StackFrame> =>
  stack.split("\n").flatMap((line) => {
    const [, what = "", where = "", atLine, atColumn] = framePattern.exec(line) ?? []
    const file = where === "" ? undefined : fileOf(where)
    if (file === undefined) return []
    return [{ what: atTop.has(what) ? "" : what, file, line: Number(atLine), column: Number(atColumn) }]
  })

const hintOf = (error: PluginError): string | undefined => {
  switch (error._tag) {
    case "LOAD_ERROR":
      return error.reason.includes("configSchema refuses")
        ? "change `config` in its entry of the config file"
        : undefined
    case "TIMEOUT":
      return "if it only needs longer, raise `timeout` in its entry of the config file"
    case "WORKER_CRASH":
      return /uncaught|unhandled/.test(error.reason)
        ? "it was thrown outside of the promise that the method returned: await all that it starts"
        : undefined
    case "INVALID_OUTPUT": {
      if (error.issue.includes("undefined"))
        return "return [] where it finds nothing, and await what is asynchronous"
      return error.issue.includes("span")
        ? "a span's text is message.content_raw.slice(start, end): UTF-16 code units, end exclusive"
        : undefined
    }
    case "EXECUTION_ERROR":
    case "CIRCUIT_OPEN":
      return undefined
  }
}

/** The message without plugin and file, which are shown anyway. */
const messageOf = (error: PluginError): string => {
  switch (error._tag) {
    case "LOAD_ERROR":
      return error.reason
    case "EXECUTION_ERROR":
      return `${error.cause.name}: ${error.cause.message}`
    case "INVALID_OUTPUT":
      return error.issue
    default:
      return error.message
  }
}

const placeOf = (
  error: PluginError,
  stack: ReadonlyArray<StackFrame>,
  entry: string
): CodePlace | undefined => {
  if (error._tag === "LOAD_ERROR") return error.place
  const [first] = stack
  if (first === undefined) return undefined
  const { file, line, column } = first
  return { file, line, column, frame: frameAt(first, entry) }
}

/** `text` removes secrets. */
export const problemOf = (
  error: PluginError,
  spec: ConfiguredSpec,
  text: (text: string) => string
): PluginProblem => {
  const cause = error._tag === "LOAD_ERROR" || error._tag === "EXECUTION_ERROR" ? error.cause : undefined
  const stack = framesOf(cause?.stack ?? "")
  const place = placeOf(error, stack, spec.modulePath)
  const hint = hintOf(error)
  return {
    code: error._tag,
    message: printable(text(messageOf(error))),
    stack: stack.map(({ what, ...place }) => ({ what: text(what), ...place })),
    ...(place === undefined ? {} : { place: { ...place, frame: text(place.frame) } }),
    ...(error._tag === "LOAD_ERROR" && error.importer !== undefined ? { importer: error.importer } : {}),
    ...(hint === undefined ? {} : { hint })
  }
}
