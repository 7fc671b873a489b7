/**
 * Audit mode: file access without a grant is allowed and reported. The hub's own folder stays closed: both the
 * given path and the real path are checked.
 */
import { realpathSync } from "node:fs"
import { basename, dirname, join, resolve, sep } from "node:path"
import { apply, startsWith } from "../shared/intrinsics.ts"
import type { AuditLine, LoadRequest } from "../../wire/messages.ts"

export interface Audit {
  readonly begin: (granted: NonNullable<LoadRequest["audit"]>) => void
  /** Whether audit mode is on. If so, `allows` decides about file access, not Node's permission flags. */
  readonly active: () => boolean
  /** Whether a path may be used. Reports the use if no grant covers the path. */
  readonly allows: (capability: "read" | "write", file: string) => boolean
  /** Whether a grant covers a path. Only a granted folder is known not to contain the hub's folder. */
  readonly covers: (capability: "read" | "write", file: string) => boolean
  readonly report: (line: AuditLine) => void
}

// The hub's folder by name. The same pattern is in paths.ts of the host.
const hubFolder = /(^|[\\/])\.agentlip([\\/]|$)/i
// Files that represent processes and devices; one of them holds the hub's environment. Grants refuse them as well.
const virtual = /^\/(proc|sys|dev)(\/|$)/
// `exec`, because a regular expression's `test` looks `exec` up on the prototype, which a plugin can patch.
const { exec } = RegExp.prototype
/** Whether a path is closed to every plugin, whatever it is granted. */
export const isClosed = (file: string): boolean =>
  apply(exec, hubFolder, [file]) !== null || apply(exec, virtual, [file]) !== null

/** The real path of a file. If the file does not exist, the parent folder's real path and the file's name. */
const realOf = (file: string): string => {
  try {
    return realpathSync(file)
  } catch {
    // The file does not exist yet: use the folder that it would be created in.
    const parent = dirname(file)
    return parent === file ? file : join(realOf(parent), basename(file))
  }
}

/** The most distinct uses to report per isolate. */
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
    // By index, because a plugin can patch the methods and iterators of arrays.
    for (let at = 0; at < grants.length; at++) {
      const grant = grants[at] ?? ""
      // A grant for a folder ends in a separator.
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
