/** Whose files are used without being told to: those of this user and of root, who can do everything anyway. */
import * as fs from "node:fs"
import { HubError } from "../HubError.ts"

/** The error for a file that must not be used. */
export const unsafe = (file: string, why: string): HubError =>
  new HubError(`${file} ${why}`, { code: "UNSAFE_FILE", status: 0 })

/** Under `sudo`, files of the user who called it are trusted too. */
const isTrusted = (owner: number): boolean => {
  const uid = process.geteuid?.()
  return (
    uid === undefined ||
    owner === uid ||
    owner === 0 ||
    (uid === 0 && owner === Number(process.env["SUDO_UID"]))
  )
}

/** Throws if a file belongs to another user. `use` says what is not done with it. */
export const requireTrusted = (file: string, { uid }: fs.Stats, use: string): void => {
  if (!isTrusted(uid)) throw unsafe(file, `belongs to another user (uid ${uid}), so ${use}`)
}
