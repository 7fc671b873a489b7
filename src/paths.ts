/** Questions about paths that the contract and the module loader both ask. Depends on Node alone. */
import * as path from "node:path"

/** The folder of a hub's database and token, closed to every plugin. */
export const hubFolder = ".agentlip"

/** Whether `child` is `parent` or lies below it; both absolute. */
export const contains = (parent: string, child: string): boolean => {
  const relative = path.relative(parent, child)
  return relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)
}

/** Whether a path lies in (or is) a hub's private folder. Case is folded: some file systems do. */
export const isHubPrivate = (file: string): boolean =>
  file.split(path.sep).some((segment) => segment.toLowerCase() === hubFolder)
