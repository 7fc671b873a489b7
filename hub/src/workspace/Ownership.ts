/**
 * Whose files a workspace consists of. Its config is code that runs with the rights of whoever starts the hub, and its
 * `server.json` says where messages and the token go, so files of another user are not used unasked.
 *
 * **Details**
 *
 * - Trusted are files of the user that runs the process, and of root, who can do everything to that user anyway.
 * - Root trusts its own files only, and under `sudo` those of the user who called it.
 * - A config behind a link is refused too: the link says nothing about who may change its target.
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

/** A user as files and processes name it. */
export interface User {
  readonly uid: number
  /** Who called `sudo`, if it was used. */
  readonly sudoUid?: number
}

/** Who runs this process; `undefined` where files have no owners. */
export const currentUser = (): User | undefined => {
  const uid = process.geteuid?.()
  if (uid === undefined) return undefined
  const sudoUid = Number(process.env["SUDO_UID"] || Number.NaN)
  return Number.isInteger(sudoUid) ? { uid, sudoUid } : { uid }
}

export const isTrusted = (owner: number, { uid, sudoUid }: User): boolean =>
  owner === uid || owner === 0 || (uid === 0 && owner === sudoUid)

export const configNames = ["agentlip.config.ts", "agentlip.config.js", "agentlip.config.mjs"]

/** What of a workspace is run, read or written by name. */
const names = [
  ".agentlip",
  ".agentlip/server.json",
  ".agentlip/db.sqlite3",
  ".agentlip/locks",
  ".agentlip/locks/writer.lock",
  ".agentlip/locks/writer.mutex"
]

/** Throws `Untrusted` if a workspace's folder, config or hub's files belong to another user. */
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
