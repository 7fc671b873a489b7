/** A plugin's error for its author: the place, the code there, and what to do. */
import { printable } from "@agentlip/plugin-runtime/text"
import {
  type CodePlace,
  type ConfiguredSpec,
  frameAt,
  type PluginError,
  type PluginErrorCode
} from "@agentlip/plugin-runtime"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { namedRedactorOf } from "../../plugins/Secrets.ts"
import { shellWord } from "../render/shellWord.ts"

/** A place in a file. Lines and columns start at 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A call in the plugin's own stack. */
export interface Frame extends Place {
  readonly what: string
}

export interface PluginProblem {
  readonly code: PluginErrorCode
  readonly message: string
  readonly place?: CodePlace
  /** The file that imports the missing module. */
  readonly importer?: string
  /** Only frames in the plugin's files, without their callers. */
  readonly stack: ReadonlyArray<Frame>
  readonly hint?: string
}

const fileOf = (where: string): string | undefined => {
  try {
    return where.startsWith("file:") ? fileURLToPath(where) : where
  } catch {
    // A URL that the plugin made up: not a file.
    return undefined
  }
}

/** The runtime gives a path for compiled sources and a URL for others. */
const framePattern = /^\s+at (?:(.+) \()?((?:file:\/\/|\/|[A-Za-z]:\\).+?):(\d+):(\d+)\)?$/

/** The names that engines use for a module's top-level code. */
const atTop: ReadonlySet<string> = new Set(["Object.<anonymous>", "<anonymous>"])

const framesOf = (stack: string): ReadonlyArray<Frame> =>
  stack.split("\n").flatMap((line) => {
    const [, what = "", where = "", atLine, atColumn] = framePattern.exec(line) ?? []
    const file = where === "" ? undefined : fileOf(where)
    if (file === undefined) return []
    return [{ what: atTop.has(what) ? "" : what, file, line: Number(atLine), column: Number(atColumn) }]
  })

/** The flag for a grant that an error describes as a line of the config file. */
const grantFlag = (message: string): string | undefined => {
  const [, capability, entry] =
    /[Gg]rant it with grants\.(read|write|net|env): \["([^"]+)"\]/.exec(message) ?? []
  return entry === undefined ? undefined : `grant it here with --allow-${capability} ${shellWord(entry)}`
}

/** The flags for declared capabilities, such as `net a.com, b.com; read ./data`. */
const declaredFlags = (reason: string): string | undefined => {
  const [, needs] = /capabilities that are not granted: (.+?)\. To grant it/s.exec(reason) ?? []
  if (needs === undefined) return undefined
  const flags = needs.split("; ").flatMap((need) => {
    const [capability = "", ...entries] = need.split(/,? /)
    return entries.map((entry) => `--allow-${capability} ${shellWord(entry)}`)
  })
  return `grant it here with ${flags.join(" ")}`
}

const hintOf = (error: PluginError): string | undefined => {
  switch (error._tag) {
    case "LOAD_ERROR": {
      if (error.reason.includes("configSchema refuses")) return "give it a config: --config '{…}'"
      return declaredFlags(error.reason)
    }
    case "TIMEOUT":
      return "look where it is with --inspect; if it only needs longer: --timeout '30 seconds'"
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
      return grantFlag(error.cause.message)
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

const placeOf = (error: PluginError, stack: ReadonlyArray<Frame>, entry: string): CodePlace | undefined => {
  if (error._tag === "LOAD_ERROR") return error.place
  const [first] = stack
  if (first === undefined) return undefined
  const { file, line, column } = first
  return { file, line, column, frame: frameAt(first, entry) }
}

export const problemOf = (error: PluginError, spec: ConfiguredSpec): PluginProblem => {
  const cause = error._tag === "LOAD_ERROR" || error._tag === "EXECUTION_ERROR" ? error.cause : undefined
  const stack = framesOf(cause?.stack ?? "")
  const place = placeOf(error, stack, spec.modulePath)
  const hint = hintOf(error)
  return {
    code: error._tag,
    message: printable(namedRedactorOf(spec).text(messageOf(error))),
    stack,
    ...(place === undefined ? {} : { place }),
    ...(error._tag === "LOAD_ERROR" && error.importer !== undefined ? { importer: error.importer } : {}),
    ...(hint === undefined ? {} : { hint })
  }
}

/** The path relative to the working directory, or the full path if the file is outside. */
export const pathFromHere = (file: string): string => {
  const relative = path.relative(process.cwd(), file)
  return printable(relative === "" || relative.startsWith("..") ? file : relative)
}

export const placeText = ({ file, line, column }: Place): string => `${pathFromHere(file)}:${line}:${column}`
