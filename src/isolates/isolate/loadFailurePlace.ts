/**
 * Finds the place of a failed load for the plugin's author: from the module loader's error, the engine's error, or the
 * plugin's first line in the stack.
 */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { frameAt, sourceOf } from "../../codeFrame.ts"
import type { CodePlace } from "../../Errors.ts"
import { shortened } from "../../text.ts"
import type { LoadFailure } from "../../wire/messages.ts"
import { ownStack, shownPlace } from "./pluginStack.ts"

type Spot = Omit<CodePlace, "frame">

/** Characters of a message that are searched. A guest sends no more. */
const maxMessage = 4_500

const fileOf = (where: string): string | undefined => {
  try {
    return where.startsWith("file:") ? fileURLToPath(where) : where
  } catch {
    // A plugin has made up an invalid URL.
    return undefined
  }
}

const spotAt = (where: string | undefined, line: unknown, column: unknown): Spot | undefined => {
  const file = where === undefined ? undefined : fileOf(where)
  return file === undefined ? undefined : { file, line: Number(line), column: Number(column) }
}

/** Compilers put the place before the message, QuickJS after it. */
const placeBefore = /^(SyntaxError: )?(\/.+?|[A-Za-z]:\\.+?):(\d+):(\d+): /
const placeAfter = / \((file:\/\/.+?):(\d+):(\d+)\)$/

/** The place that a message names, and the message without it. */
const inMessage = (message: string): { readonly message: string; readonly spot?: Spot } => {
  const before = placeBefore.exec(message)
  const after = before === null ? placeAfter.exec(message) : null
  const spot =
    before === null ? spotAt(after?.[1], after?.[2], after?.[3]) : spotAt(before[2], before[3], before[4])
  if (spot === undefined) return { message }
  return {
    message: message.replace(
      before === null ? placeAfter : placeBefore,
      "$1".repeat(before === null ? 0 : 1)
    ),
    spot
  }
}

const frame = /^[ \t]+at (?:[^(\n]+ \()?((?:file:\/\/|\/|[A-Za-z]:\\).+?):(\d+):(\d+)\)?$/m

const inStack = (stack: string): Spot | undefined => {
  const [, where, line, column] = frame.exec(stack) ?? []
  return spotAt(where, line, column)
}

const missingExport =
  /^SyntaxError: (?:The requested module '(.+)' does not provide an export named '(.+)'|Could not find export '(.+)' in module '(.+)')$/

/** Whether a module declares a name as a type. */
const declaresType = (source: string, name: string): boolean => {
  const escaped = name.replace(/[$]/g, "\\$&")
  return (
    new RegExp(`\\b(?:interface|type)\\s+${escaped}\\b`).test(source) ||
    new RegExp(`\\bexport\\s+type\\s*\\{[^}]*\\b${escaped}\\b`).test(source)
  )
}

/** What to do about an export that does not exist. */
const exportHint = (message: string, importer: string | undefined, entry: string): string => {
  const [, specifier, ofNode, ofQuickJs, url] = missingExport.exec(message) ?? []
  const name = ofNode ?? ofQuickJs
  const asked = specifier ?? url
  if (name === undefined || asked === undefined) return ""
  const isPath = asked.startsWith(".") && importer !== undefined
  const file = asked.startsWith("file:")
    ? fileOf(asked)
    : isPath
      ? path.resolve(path.dirname(importer), asked)
      : undefined
  const source = file === undefined || !/\.[mc]?ts$/.test(file) ? undefined : sourceOf(file, entry)
  if (source === undefined || !/^[\w$]+$/.test(name)) return ""
  return declaresType(source, name)
    ? `. ${name} is a type, which does not exist at run time: import it with \`import type { ${name} }\``
    : `. Check the name; ${path.basename(file ?? asked)} must export it`
}

/** The reason of a failure and its place. */
export const placed = (
  /** As a guest reports it: the plugin may have made up all of it. */
  failure: LoadFailure,
  entry: string
): { readonly reason: string; readonly importer?: string; readonly place?: CodePlace } => {
  const { message, spot: said } = inMessage(shortened(failure.message, maxMessage))
  const { place, cause } = failure
  const shown = shownPlace(cause?.stack ?? "")
  const stack = cause === undefined ? "" : (ownStack(cause.name, cause.message, cause.stack) ?? "")
  const spot =
    place ?? said ?? (shown === undefined ? inStack(stack) : spotAt(shown.url, shown.line, shown.column))
  const importer = failure.importer ?? (missingExport.test(message) ? spot?.file : undefined)
  const reason = message + exportHint(message, importer, entry)
  const withImporter = importer === undefined ? {} : { importer }
  if (spot === undefined) return { reason, ...withImporter }
  if (place !== undefined && place.frame !== "") return { reason, ...withImporter, place }
  const file = fileOf(spot.file) ?? spot.file
  const { line, column } = spot
  const at = { file, line, column }
  return { reason, ...withImporter, place: { ...at, frame: frameAt(at, entry) } }
}
