/** Removes from a plugin's stacks what is not the plugin's: frames of the guest and of Node's own modules. */
import { fileURLToPath } from "node:url"
import { shortened } from "../../text.ts"
import { guestFolder } from "../guestFiles.ts"

/** Characters. A plugin may make up a stack of any length. */
const maxStack = 8_192

/** `agentlip:` is the guest inside QuickJS, whose own functions are `native`. The script that guests boot has a path. */
const foreignPlaces = [
  "node:",
  "agentlip:",
  "agentlip-builtin:",
  "native)",
  guestFolder.href,
  fileURLToPath(guestFolder)
]

const framePlace = /^[ \t]+at (?:async )?(?:.*? \()?/

const isForeign = (line: string): boolean => {
  const before = framePlace.exec(line)?.[0]
  if (before === undefined) return false
  const place = line.slice(before.length)
  return foreignPlaces.some((start) => place.startsWith(start))
}

/** A text, such as a log line, without the frames of stacks in it that are not the plugin's. */
export const withoutGuestFrames = (text: string): string =>
  text.includes("\n") && text.includes(" at ")
    ? text
        .split("\n")
        .filter((line) => !isForeign(line))
        .join("\n")
        .trimEnd()
    : text

/** Where V8 shows the code of an error in the engine itself: file, line, the code and `^` below it. */
const shownCode = /^(file:\/\/\S+?):(\d+)\n.*\n( *)\^+\n+/

/** The place that a stack begins with, as a missing export's does. */
export const shownPlace = (stack: string): { url: string; line: number; column: number } | undefined => {
  const [, url, line, before = ""] = shownCode.exec(stack) ?? []
  return url === undefined ? undefined : { url, line: Number(line), column: before.length + 1 }
}

/** The plugin's part of a stack: the error's first line and the plugin's frames. `undefined` if it has no such frame. */
export const ownStack = (name: string, message: string, stack: string | undefined): string | undefined => {
  if (stack === undefined) return undefined
  const own = withoutGuestFrames(shortened(stack, maxStack).replace(shownCode, ""))
  if (!/^[ \t]+at /m.test(own)) return undefined
  // A stack of QuickJS has no first line with the error.
  return /^[ \t]+at /.test(own) ? `${name}: ${message}\n${own}` : own
}
