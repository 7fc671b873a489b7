import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { BackupError } from "./BackupError.ts"

/** Uses an existing database, and closes it. */
export const withDatabase = <A>(
  file: string,
  use: (db: DatabaseSync) => A,
  { readOnly = false }: { readonly readOnly?: boolean } = {}
): A => {
  // Check first, because SQLite would create an empty file.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new BackupError({ file, reason: "there is no such file" })
  }
  const db = new DatabaseSync(file, { timeout: 5_000, readOnly })
  try {
    return use(db)
  } finally {
    db.close()
  }
}
