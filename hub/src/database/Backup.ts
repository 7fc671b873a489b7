/**
 * Backs up a hub's database, also while the hub runs.
 *
 * **Details**
 *
 * - A backup shows one moment (`VACUUM INTO`). The hub keeps writing meanwhile, and its process is not involved.
 * - A backup file appears complete and checked or not at all, and only its owner can read it.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { attempt, BackupError } from "./BackupError.ts"
import type { Contents } from "./Contents.ts"
import { copyBeside } from "./copyBeside.ts"
import { flush } from "./flush.ts"
import * as SafeFiles from "../workspace/SafeFiles.ts"
import { Workspace } from "../workspace/Workspace.ts"

/**
 * Copies the database of a workspace to a file. Its hub may be running.
 *
 * **Errors**: `BackupError` if there is no database, if the file exists and `force` is not set, or if the copy is
 * damaged.
 *
 * @example
 * ```ts
 * const { messages } = yield* Backup.backup(".", "monday.sqlite3")
 * ```
 */
export const backup = (
  workspace: string,
  file: string,
  { force = false }: { readonly force?: boolean } = {}
): Effect.Effect<Contents, BackupError> =>
  Effect.gen(function* () {
    const database = Workspace.pathsOf(workspace).database
    yield* attempt(database, () => SafeFiles.requireDatabase(database))
    const target = path.resolve(file)
    const taken = new BackupError({ file, reason: "it is there already; --force replaces it" })
    if (!force && fs.existsSync(target)) return yield* taken
    const { copy, contents } = yield* copyBeside(database, target)
    yield* attempt(file, () => {
      if (force) return fs.renameSync(copy, target)
      try {
        // Unlike a rename, a link never replaces a file that was created meanwhile.
        fs.linkSync(copy, target)
      } catch {
        if (fs.existsSync(target)) throw taken
        // The file system has no links, as on many memory sticks.
        fs.renameSync(copy, target)
      }
    })
    yield* attempt(file, () => flush(path.dirname(target)))
    return contents
  }).pipe(Effect.scoped)
