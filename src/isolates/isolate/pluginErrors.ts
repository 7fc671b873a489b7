/** Makes errors from what a guest says. A plugin may make up any of it, so texts are shortened and made printable. */
import { type CodePlace, LoadError, type ThrownValue, WorkerCrash } from "../../Errors.ts"
import { type Grants, grantKinds } from "../../Grants.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { PrepareError } from "../../PrepareError.ts"
import { maxDeclared } from "../../capabilities/declared.ts"
import { printable, printableLine, shortened } from "../../text.ts"
import { ownStack } from "./pluginStack.ts"
import type { Death } from "./Transport.ts"

/** Characters of a reason that a plugin may have made up. */
const maxReason = 8_192
/** Characters of a thrown error's message. */
const maxMessage = 4_096
/** Characters of a path that a plugin may have made up. */
const maxPath = 1_024
/** On one line, with at most `max` characters, also after escaping. */
const oneLine = (text: string, max: number): string => shortened(printableLine(shortened(text, max)), max)
export const reasonText = (reason: string): string => oneLine(reason, maxReason)
/** What a plugin calls itself. */
export const nameText = (text: string): string => oneLine(text, 200)

export const printableThrown = (thrown: ThrownValue): ThrownValue => {
  const { name, message } = thrown
  const stack = ownStack(name, message, thrown.stack)
  return {
    name: nameText(name),
    message: oneLine(message, maxMessage),
    ...(stack === undefined ? {} : { stack: shortened(printable(stack), maxReason) })
  }
}

export const pathText = (path: string): string => oneLine(path, maxPath)

export const printablePlace = ({ file, line, column, frame }: CodePlace): CodePlace => ({
  file: pathText(file),
  line,
  column,
  frame: shortened(printable(shortened(frame, maxReason)), maxReason)
})

export const crashed = (spec: PluginSpec, { reason, exitCode }: Death): WorkerCrash =>
  new WorkerCrash({
    plugin: spec.name,
    reason: reasonText(reason),
    ...(exitCode === undefined ? {} : { exitCode })
  })

const printableGrants = (grants: Grants): Grants =>
  Object.fromEntries(
    grantKinds.flatMap((kind) => {
      const entries = grants[kind]
      return entries === undefined ? [] : [[kind, entries.slice(0, maxDeclared).map(pathText)]]
    })
  )

/** The error of a plugin that cannot be prepared. */
export const unpreparedError = (
  { name, modulePath }: Pick<PluginSpec, "name" | "modulePath">,
  { message, missingGrants, isClosed }: PrepareError
): LoadError | WorkerCrash =>
  isClosed === true
    ? new WorkerCrash({ plugin: name, reason: message })
    : new LoadError({
        plugin: name,
        modulePath,
        reason: reasonText(message),
        ...(missingGrants === undefined ? {} : { missingGrants: printableGrants(missingGrants) })
      })

export const brokenReply = (spec: PluginSpec): WorkerCrash =>
  crashed(spec, { reason: "it broke the protocol: a reply of another shape" })
