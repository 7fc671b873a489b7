/**
 * Audit mode: file access that no grant covers is let through and reported. The hub's own folder stays out of
 * reach, by a look at the path and at what it really is.
 */
import { realpathSync } from "node:fs"
import { basename, dirname, join, resolve, sep } from "node:path"
import { apply, startsWith } from "../shared/intrinsics.ts"
import type { AuditLine, LoadRequest } from "../../wire/messages.ts"

export interface Audit {
  readonly begin: (granted: NonNullable<LoadRequest["audit"]>) => void
  /** Whether files are judged here rather than by the permission flags. */
  readonly active: () => boolean
  /** Whether a path may be used; reports it where no grant covers it. */
  readonly allows: (capability: "read" | "write", file: string) => boolean
  /** Whether a grant covers a path: only then is all that lies below it known not to be the hub's. */
  readonly covers: (capability: "read" | "write", file: string) => boolean
  readonly report: (line: AuditLine) => void
}

// The hub's folder by name, as in paths.ts of the host.
const hubFolder = /(^|[\\/])\.agentlip([\\/]|$)/i
// Files that stand for processes and devices, the hub's environment among them; grants refuse them as well.
const virtual = /^\/(proc|sys|dev)(\/|$)/
// A regular expression's `test` asks the prototype, which a plugin can patch.
const { exec } = RegExp.prototype
const isClosed = (file: string): boolean =>
  apply(exec, hubFolder, [file]) !== null || apply(exec, virtual, [file]) !== null

/** What a path really is, as far as it exists. */
const realOf = (file: string): string => {
  try {
    return realpathSync(file)
  } catch {
    // It does not exist yet: where it would be made decides.
    const parent = dirname(file)
    return parent === file ? file : join(realOf(parent), basename(file))
  }
}

/** More uses than this tell nothing new. */
const maxReports = 1_000

export const makeAudit = (send: (line: AuditLine) => void): Audit => {
  let granted: NonNullable<LoadRequest["audit"]> | undefined
  const reported = new Set<string>()
  const report = (line: AuditLine): void => {
    const key = line.capability + line.what
    if (reported.has(key) || reported.size >= maxReports) return
    reported.add(key)
    send(line)
  }
  const isCovered = (capability: "read" | "write", real: string): boolean => {
    const grants = granted?.[capability] ?? []
    // By index: what a plugin makes of arrays' methods is not to decide.
    for (let at = 0; at < grants.length; at++) {
      const grant = grants[at] ?? ""
      // A folder's grant ends in a separator.
      if (real === grant || (grant[grant.length - 1] === sep && startsWith(real + sep, grant))) return true
    }
    return false
  }
  return {
    begin: (grants) => {
      granted = grants
    },
    active: () => granted !== undefined,
    allows: (capability, given) => {
      const file = resolve("/", given)
      const real = realOf(file)
      if (isClosed(file) || isClosed(real)) return false
      if (!isCovered(capability, real)) report({ capability, what: real })
      return true
    },
    covers: (capability, given) => isCovered(capability, realOf(resolve("/", given))),
    report
  }
}
