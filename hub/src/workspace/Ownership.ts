/**
 * Checks who owns the files of a workspace. The config is code that runs with the rights of the user who starts the
 * hub, and `server.json` decides where messages and the token are sent. So files of other users are not used without
 * `--trust`.
 *
 * **Details**
 *
 * - Files of the user who runs the process are trusted, and so are files of root, who can do everything anyway.
 * - Root trusts only its own files, and under `sudo` also those of the user who called it.
 * - A config that is a link is refused too, because the link does not show who can change its target.
 */
import { Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { statOf } from "./SafeFiles.ts"

/** A workspace, or a file of it, belongs to another user. */
export class Untrusted extends Schema.TaggedError<Untrusted>("@agentlip/hub/Untrusted")("Untrusted", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `${this.file} ${this.reason}, so nothing of this workspace is run or used. ` +
      "If you trust whoever can write to it, pass --trust"
    )
  }
}

/** A user by the ids that files and processes carry. */
export interface User {
  readonly uid: number
  /** The user who called `sudo`, if it was used. */
  readonly sudoUid?: number
}

/** The user who runs this process; `undefined` on systems where files have no owners. */
export const currentUser = (): User | undefined => {
  const uid = process.geteuid?.()
  if (uid === undefined) return undefined
  const sudoUid = Number(process.env["SUDO_UID"] || Number.NaN)
  return Number.isInteger(sudoUid) ? { uid, sudoUid } : { uid }
}

export const isTrusted = (owner: number, { uid, sudoUid }: User): boolean =>
  owner === uid || owner === 0 || (uid === 0 && owner === sudoUid)

export const configNames = ["agentlip.config.ts", "agentlip.config.js", "agentlip.config.mjs"]

/** The files of a workspace that the hub runs, reads or writes, besides its config. */
const names = [
  ".agentlip",
  ".agentlip/server.json",
  ".agentlip/db.sqlite3",
  ".agentlip/locks",
  ".agentlip/locks/writer.lock",
  ".agentlip/locks/writer.mutex"
]

/** Throws `Untrusted` if the workspace's folder, its config or a file of the hub belongs to another user. */
export const requireTrusted = (root: string, user: User | undefined = currentUser()): void => {
  if (user === undefined) return
  const folder = fs.statSync(root, { throwIfNoEntry: false })
  const parts = [
    ...(folder === undefined ? [] : [{ file: root, stats: folder }]),
    ...[...configNames, ...names].flatMap((name) => {
      const file = path.join(root, name)
      const stats = statOf(file)
      return stats === undefined ? [] : [{ file, stats }]
    })
  ]
  for (const { file, stats } of parts) {
    if (!isTrusted(stats.uid, user)) {
      throw new Untrusted({
        file,
        reason: `belongs to another user (uid ${stats.uid}; this process runs as ${user.uid})`
      })
    }
    if (stats.isSymbolicLink() && configNames.includes(path.basename(file))) {
      throw new Untrusted({ file, reason: `is a link to ${fs.readlinkSync(file)}, not a file` })
    }
  }
}
