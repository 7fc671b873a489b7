/** Finds programs on this machine, and checks which files a user can reach. */
import * as fs from "node:fs"
import * as path from "node:path"

const isExecutable = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

/** The first program of that name on the host's PATH. */
export const findExecutable = (name: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, name))
    .find(isExecutable)

export interface User {
  readonly uid: number
  readonly gid: number
}

/** The three permission bits of a file that apply to a user. */
const bitsOf = (file: string, { uid, gid }: User): number => {
  const stat = fs.statSync(file)
  if (stat.uid === uid) return (stat.mode >> 6) & 7
  return (stat.gid === gid ? stat.mode >> 3 : stat.mode) & 7
}

const execute = 1
const need = { read: 4, write: 2 }

/** Whether a user's processes can reach a file or folder, by the Unix permissions of every folder on the way. */
export const canReach = (user: User, file: string, use: "read" | "write"): boolean => {
  try {
    const bits = need[use] | (fs.statSync(file).isDirectory() ? execute : 0)
    if ((bitsOf(file, user) & bits) !== bits) return false
    for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
      if ((bitsOf(folder, user) & execute) === 0) return false
      if (folder === path.dirname(folder)) return true
    }
  } catch {
    // The file is gone, or the host itself cannot reach it.
    return false
  }
}
