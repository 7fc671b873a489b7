/** An error of a plugin's as its author wants to read it: where it is, the lines of code there, and what to do. */
import {
  codeFrame,
  type ConfiguredSpec,
  type PluginError,
  type PluginErrorCode
} from "@agentlip/plugin-runtime"
import { Effect } from "effect"
import * as fs from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { printable } from "./Output.ts"
import { syntaxPlace } from "./syntaxPlace.ts"

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
  readonly place?: Place
  /** Of the plugin's own files; what called it is left out. */
  readonly stack: ReadonlyArray<Frame>
  readonly hint?: string
}

const fileOf = (url: string): string | undefined => {
  try {
    return fileURLToPath(url)
  } catch {
    // A URL that a plugin has made up: no file.
    return undefined
  }
}

/** What serves the plugin in its isolate stands on its stack too. */
const isGuest = (url: string): boolean => /\/guest\/(?:node|wasm)\/\w+\.js$/.test(url)

const framePattern = /^\s+at (?:(.+) \()?(file:\/\/.+?):(\d+):(\d+)\)?$/

const framesOf = (stack: string): ReadonlyArray<Frame> =>
  stack.split("\n").flatMap((line) => {
    const [, what = "", url = "", atLine, atColumn] = framePattern.exec(line) ?? []
    const file = isGuest(url) ? undefined : fileOf(url)
    return file === undefined ? [] : [{ what, file, line: Number(atLine), column: Number(atColumn) }]
  })

/** Compilers name the place before the message; QuickJS after it. */
const placeBefore = /^(?:SyntaxError: )?(\/.+?|[A-Za-z]:\\.+?):(\d+):(\d+): /
const placeAfter = / \((file:\/\/.+?):(\d+):(\d+)\)$/

/** Where a text says that it is about, and the text without that. */
const placeIn = (text: string): { readonly place?: Place; readonly text: string } => {
  const before = placeBefore.exec(text)
  const after = before === null ? placeAfter.exec(text) : null
  const [, where = "", line, column] = before ?? after ?? []
  const file = before === null ? fileOf(where) : where
  if (file === undefined) return { text }
  return {
    place: { file, line: Number(line), column: Number(column) },
    text: before === null ? text.replace(placeAfter, "") : text.replace(placeBefore, "SyntaxError: ")
  }
}

const hintOf = (error: PluginError): string | undefined => {
  switch (error._tag) {
    case "LOAD_ERROR": {
      if (error.reason.includes("configSchema refuses")) return "give it a config: --config '{…}'"
      if (error.reason.includes("what it is not granted"))
        return "grant it here with --allow-read, --allow-write, --allow-net, --allow-env"
      return undefined
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
      return /not granted|access denied|ERR_ACCESS_DENIED/i.test(error.cause.message)
        ? "grant it here with --allow-read, --allow-write, --allow-net, --allow-env"
        : undefined
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

export const problemOf = Effect.fnUntraced(function* (error: PluginError, spec: ConfiguredSpec) {
  const cause = error._tag === "LOAD_ERROR" || error._tag === "EXECUTION_ERROR" ? error.cause : undefined
  const { place, text } = placeIn(messageOf(error))
  const stack = framesOf(cause?.stack ?? "")
  const isSyntax = error._tag === "LOAD_ERROR" && cause?.name === "SyntaxError"
  const at = place ?? stack[0] ?? (isSyntax ? yield* syntaxPlace(spec.modulePath) : undefined)
  const hint = hintOf(error)
  const problem: PluginProblem = {
    code: error._tag,
    message: printable(text),
    stack,
    ...(at === undefined ? {} : { place: { file: at.file, line: at.line, column: at.column } }),
    ...(hint === undefined ? {} : { hint })
  }
  return problem
})

/** As one would type it from here. */
export const pathFromHere = (file: string): string => {
  const relative = path.relative(process.cwd(), file)
  return printable(relative === "" || relative.startsWith("..") ? file : relative)
}

export const placeText = ({ file, line, column }: Place): string => `${pathFromHere(file)}:${line}:${column}`

/** Whether its lines are those that run: TypeScript with enums and the like is rewritten. */
const isAsWritten = (file: string, source: string): boolean => {
  if (!/\.[mc]?ts$/.test(file)) return true
  try {
    stripTypeScriptTypes(source)
    return true
  } catch (error) {
    // A file that does not parse is not rewritten either: that is what it is shown for.
    return Reflect.get(Object(error), "code") !== "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX"
  }
}

/** The lines of code around a place, if they are of the module's folder and can be read. */
export const frameLines = ({ file, line, column }: Place, modulePath: string): ReadonlyArray<string> => {
  const folder = path.dirname(modulePath) + path.sep
  if (!path.resolve(file).startsWith(folder)) return []
  let source: string
  try {
    source = fs.readFileSync(file, "utf8")
  } catch {
    // Gone meanwhile, or named by a plugin that made it up: there is nothing to show.
    return []
  }
  if (!isAsWritten(file, source))
    return [
      "(The file has enums, namespaces or parameter properties: lines and columns are those of its compiled code.)"
    ]
  const frame = codeFrame(source, line, column)
  return frame === "" ? [] : frame.split("\n")
}
