/** Grants that a guest reports as missing. They are a hint for the operator, and a plugin can make them up. */
import { Result } from "effect"
import * as path from "node:path"
import { type Grants, grantKinds } from "../Grants.ts"
import { isHubPrivate, isPattern } from "../paths.ts"
import { printableLine } from "../text.ts"
import { decodeCapabilities } from "./declared.ts"
import { variableName } from "./environment.ts"
import { isVirtual } from "./files.ts"
import { parseNetEntry } from "./net.ts"

/** Whether it has the form of a path that a grant may have. */
const isPath = (entry: string): boolean =>
  path.isAbsolute(entry) &&
  printableLine(entry) === entry &&
  !isHubPrivate(entry) &&
  !isPattern(entry) &&
  !isVirtual(entry)

/** Whether an entry has the form of such a grant. */
const isEntry: { readonly [Kind in keyof Grants]-?: (entry: string) => boolean } = {
  read: isPath,
  write: isPath,
  net: (entry) => Result.isSuccess(parseNetEntry(entry)),
  env: (entry) => variableName.test(entry)
}

/** The reported entries that have the form of a grant; `undefined` if there are none. */
export const reportedGrants = (reported: unknown): Grants | undefined => {
  const decoded = decodeCapabilities(reported)
  if (Result.isFailure(decoded)) return undefined
  const grants = grantKinds.flatMap((kind) => {
    const entries = (decoded.success[kind] ?? []).filter(isEntry[kind])
    return entries.length === 0 ? [] : [[kind, entries] as const]
  })
  return grants.length === 0 ? undefined : Object.fromEntries(grants)
}
