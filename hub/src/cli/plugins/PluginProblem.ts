/** An error of a plugin's as its author wants to read it: where it is, the lines of code there, and what to do. */
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

/** A place in a file; lines and columns count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A call on the plugin's own stack. */
export interface Frame extends Place {
  readonly what: string
}

export interface PluginProblem {
  readonly code: PluginErrorCode
  readonly message: string
  readonly place?: CodePlace
  /** The file that asked for a module that could not be had. */
  readonly importer?: string
  /** Of the plugin's own files; what called it is left out. */
  readonly stack: ReadonlyArray<Frame>
  readonly hint?: string
}

const fileOf = (where: string): string | undefined => {
  try {
    return where.startsWith("file:") ? fileURLToPath(where) : where
  } catch {
    // A URL that a plugin has made up: no file.
    return undefined
  }
}

/** Of a source that was compiled into another shape the runtime gives a path, of others a URL. */
const framePattern = /^\s+at (?:(.+) \()?((?:file:\/\/|\/|[A-Za-z]:\\).+?):(\d+):(\d+)\)?$/

/** What engines call the code of a module itself. */
const atTop: ReadonlySet<string> = new Set(["Object.<anonymous>", "<anonymous>"])

const framesOf = (stack: string): ReadonlyArray<Frame> =>
  stack.split("\n").flatMap((line) => {
    const [, what = "", where = "", atLine, atColumn] = framePattern.exec(line) ?? []
    const file = where === "" ? undefined : fileOf(where)
    if (file === undefined) return []
    return [{ what: atTop.has(what) ? "" : what, file, line: Number(atLine), column: Number(atColumn) }]
  })

/** The flag for a grant that an error names as the line of a config file. */
const grantFlag = (message: string): string | undefined => {
  const [, capability, entry] =
    /[Gg]rant it with grants\.(read|write|net|env): \["([^"]+)"\]/.exec(message) ?? []
  return entry === undefined ? undefined : `grant it here with --allow-${capability} ${shellWord(entry)}`
}

/** The flags for what a plugin declares to need: `net a.com, b.com; read ./data`. */
const declaredFlags = (reason: string): string | undefined => {
  const [, needs] = /what it is not granted: (.+?)\. To grant it/s.exec(reason) ?? []
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

/** What is said of the error apart from where: the plugin is known, and so is its file. */
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

/** As one would type it from here. */
export const pathFromHere = (file: string): string => {
  const relative = path.relative(process.cwd(), file)
  return printable(relative === "" || relative.startsWith("..") ? file : relative)
}

export const placeText = ({ file, line, column }: Place): string => `${pathFromHere(file)}:${line}:${column}`
