/** Finds the workspace if none is named: the nearest one upwards. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** The limits of the search. */
export interface SearchBounds {
  /** The last folder to search. Default: the user's home. */
  readonly home?: string
  /** Returns the file system of a folder. The search stays on the file system where it started. */
  readonly deviceOf?: (folder: string) => number
}

const realOf = (folder: string): string => {
  try {
    return fs.realpathSync(folder)
  } catch {
    // The home folder does not exist, so the search cannot end there.
    return folder
  }
}

/**
 * The nearest folder from `from` upwards that has an entry `.agentlip` of any kind; it is checked before it is used.
 * The search ends at the home folder and at the border of the file system.
 */
export const findWorkspace = (
  from: string,
  { home = os.homedir(), deviceOf = (folder) => fs.statSync(folder).dev }: SearchBounds = {}
): string | undefined => {
  const last = realOf(home)
  const device = deviceOf(from)
  for (let folder = from; ; ) {
    if (fs.lstatSync(path.join(folder, ".agentlip"), { throwIfNoEntry: false }) !== undefined) return folder
    const parent = path.dirname(folder)
    if (folder === last || parent === folder || deviceOf(parent) !== device) return undefined
    folder = parent
  }
}
