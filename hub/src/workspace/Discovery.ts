/** Which workspace a command is about when nobody says: the nearest one upwards, but not anybody's. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { statOf } from "./SafeFiles.ts"

/** Where the search ends. */
export interface Bounds {
  /** The last folder that is looked at. Default the user's home. */
  readonly home?: string
  /** The file system that a folder is on; the search stays on that of its first folder. */
  readonly deviceOf?: (folder: string) => number
}

const realOf = (folder: string): string => {
  try {
    return fs.realpathSync(folder)
  } catch {
    // No such home: nothing ends there.
    return folder
  }
}

/**
 * The nearest folder from here upwards that holds `.agentlip`, whatever that is: it is checked before it is used.
 * The search ends with the home folder, and before the first folder of another file system.
 */
export const nearest = (
  from: string,
  { home = os.homedir(), deviceOf = (folder) => fs.statSync(folder).dev }: Bounds = {}
): string | undefined => {
  const last = realOf(home)
  const device = deviceOf(from)
  for (let folder = from; ; ) {
    if (statOf(path.join(folder, ".agentlip")) !== undefined) return folder
    const parent = path.dirname(folder)
    if (folder === last || parent === folder || deviceOf(parent) !== device) return undefined
    folder = parent
  }
}
