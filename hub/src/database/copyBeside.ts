import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { attempt } from "./BackupError.ts"
import { inspect } from "./Contents.ts"
import { flush } from "./flush.ts"
import { withDatabase } from "./withDatabase.ts"

/** Makes a checked copy of a SQLite file of a hub next to its target. The copy is removed with the scope unless it was moved. */
export const copyBeside = (from: string, to: string) =>
  Effect.gen(function* () {
    const copy = yield* Effect.acquireRelease(
      attempt(to, () => {
        const file = `${to}.${randomBytes(6).toString("hex")}.tmp`
        // Create the file before SQLite writes into it, so that other users can never read it.
        fs.closeSync(fs.openSync(file, "wx", 0o600))
        return file
      }),
      (file) => Effect.sync(() => fs.rmSync(file, { force: true }))
    )
    yield* attempt(from, () => withDatabase(from, (db) => void db.prepare("VACUUM INTO ?").run(copy)))
    const contents = yield* attempt(copy, () => inspect(copy))
    yield* attempt(copy, () => flush(copy))
    return { copy, contents }
  })
