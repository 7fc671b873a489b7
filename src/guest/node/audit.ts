/**
 * Audit mode: file access that no grant covers is let through and reported. The hub's own folder stays out of
 * reach, by a look at the path and at what it really is.
 */
import { realpathSync } from "node:fs"
import * as path from "node:path"
import type { AuditLine, LoadRequest } from "../protocol.ts"

export interface Audit {
  readonly begin: (granted: NonNullable<LoadRequest["audit"]>) => void
  /** Whether files are judged here rather than by the permission flags. */
  readonly active: () => boolean
  /** Whether a path may be used; reports it where no grant covers it. */
  readonly allows: (capability: "read" | "write", file: string) => boolean
  readonly report: (line: AuditLine) => void
}

// The hub's folder by name, as in paths.ts of the host.
const hubFolder = /(^|[\\/])\.agentlip([\\/]|$)/i

/** What a path really is, as far as it exists. */
const realOf = (file: string): string => {
  try {
    return realpathSync(file)
  } catch {
    // It does not exist yet: where it would be made decides.
    const parent = path.dirname(file)
    return parent === file ? file : path.join(realOf(parent), path.basename(file))
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
  return {
    begin: (grants) => {
      granted = grants
    },
    active: () => granted !== undefined,
    allows: (capability, given) => {
      const file = path.resolve("/", given)
      const real = realOf(file)
      if (hubFolder.test(file) || hubFolder.test(real)) return false
      // A folder's grant ends in a separator.
      const covered = granted?.[capability].some(
        (grant) => real === grant || (grant.endsWith(path.sep) && `${real}${path.sep}`.startsWith(grant))
      )
      if (covered !== true) report({ capability, what: real })
      return true
    },
    report
  }
}
