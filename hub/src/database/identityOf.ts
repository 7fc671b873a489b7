/** Which file a path leads to: its device and its number there. */
import * as fs from "node:fs"

/** `undefined` if no file is there, or if its file system does not number files. */
export const identityOf = (file: string): string | undefined => {
  const stats = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
  return stats === undefined || stats.ino === 0n ? undefined : `${stats.dev}:${stats.ino}`
}
