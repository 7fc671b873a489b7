/** Finds the module that a client of the hub names by its path in the workspace. */
import { Result } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

const isModule = /\.[cm]?[jt]s$/

const isInside = (folder: string, file: string): boolean => {
  const relative = path.relative(folder, file)
  return relative !== "" && relative.split(path.sep)[0] !== ".." && !path.isAbsolute(relative)
}

const isPrivate = (file: string): boolean =>
  file.split(path.sep).some((segment) => segment.toLowerCase() === ".agentlip")

/**
 * The real path of a module, or what is wrong with the given one. Links are followed before anything is compared, so
 * none leads out of the workspace.
 */
export const moduleIn = (root: string, given: string): Result.Result<string, string> => {
  const shown = JSON.stringify(given)
  let file: string
  try {
    file = fs.realpathSync.native(path.resolve(root, given))
  } catch {
    return Result.fail(`There is no file ${shown} in the workspace`)
  }
  if (!isInside(fs.realpathSync.native(root), file)) return Result.fail(`${shown} leads out of the workspace`)
  if (isPrivate(path.relative(root, file)))
    return Result.fail(`${shown} lies in .agentlip/, which belongs to the hub alone`)
  const stats = fs.statSync(file, { throwIfNoEntry: false })
  if (stats?.isFile() !== true) return Result.fail(`${shown} is not a regular file`)
  if (!isModule.test(file)) return Result.fail(`${shown} is not a module: name a .ts, .mts, .js or .mjs file`)
  return Result.succeed(file)
}
