/** Checks of paths. Depends on Node only. */
import * as fs from "node:fs"
import * as path from "node:path"

/** The folder of a hub's database and token, closed to every plugin. */
export const hubFolder = ".agentlip"

/** Whether `child` is `parent` or lies below it; both absolute. */
export const contains = (parent: string, child: string): boolean => {
  const relative = path.relative(parent, child)
  return relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)
}

/** Whether a path is a hub's private folder or below one. Ignores case, as some file systems do. */
export const isHubPrivate = (file: string): boolean =>
  file.split(path.sep).some((segment) => segment.toLowerCase() === hubFolder)

/**
 * Whether Node's permission flags would read a path as a pattern: an `*` anywhere makes them match every path that
 * begins with what is before it. No other character is special to them, or to bubblewrap's arguments.
 */
export const isPattern = (file: string): boolean => file.includes("*")

/** The real path of the part of `file` that exists, and the rest as given. A dangling link counts as its target. */
export const realOf = (file: string): string => {
  try {
    return fs.realpathSync.native(file)
  } catch (error) {
    const folder = path.dirname(file)
    if (folder === file) return file
    const parent = realOf(folder)
    const here = path.join(parent, path.basename(file))
    const leadsNowhere = error instanceof Error && "code" in error && error.code === "ENOENT"
    return leadsNowhere && fs.lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? realOf(path.resolve(parent, fs.readlinkSync(here)))
      : here
  }
}
