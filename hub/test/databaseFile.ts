/** The files of a workspace as tests compare them. */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

export const fileOf = (workspace: string): string => path.join(workspace, ".agentlip", "db.sqlite3")

/** Every file of the workspace, with its content and the time of its last change. */
export const stateOf = (workspace: string): ReadonlyArray<readonly [string, string, number]> =>
  fs
    .readdirSync(workspace, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => path.join(workspace, name))
    .map((file) => {
      const stats = fs.statSync(file)
      return [
        file,
        stats.isFile() ? createHash("sha256").update(fs.readFileSync(file)).digest("hex") : "",
        stats.mtimeMs
      ]
    })
