/** All that is in a hub's database once nobody writes to it any more. */
import { DatabaseSync } from "node:sqlite"
import type { Json } from "../testHub.ts"

const texts = {
  messages: "SELECT * FROM messages ORDER BY id",
  events: "SELECT * FROM events ORDER BY event_id",
  enrichments: "SELECT * FROM enrichments ORDER BY message_id, span_start",
  attachments: "SELECT * FROM attachments ORDER BY id",
  sources: "SELECT * FROM attachment_sources",
  derivations: "SELECT * FROM derivations ORDER BY message_id, content_version, plugin_name",
  outbox: "SELECT * FROM outbox",
  integrity: "PRAGMA integrity_check",
  foreignKeys: "PRAGMA foreign_key_check"
}

export type Table = keyof typeof texts
export type Database = Readonly<Record<Table, ReadonlyArray<Json>>>

const open = <A>(file: string, read: (db: DatabaseSync) => A): A => {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return read(db)
  } finally {
    db.close()
  }
}

const count = (file: string, from: string): number =>
  open(file, (db) => Number(db.prepare(`SELECT count(*) AS n FROM ${from}`).get()?.["n"]))

export const countOpenJobs = (file: string): number =>
  count(file, "outbox") + count(file, "derivations WHERE state = 'pending'")

export const countEvents = (file: string): number => count(file, "events")

export const readDatabase = (file: string): Database =>
  open(file, (db) => {
    const all = (table: Table): ReadonlyArray<Json> => db.prepare(texts[table]).all()
    return {
      messages: all("messages"),
      events: all("events").map((event) => ({ ...event, data: JSON.parse(event.data_json) })),
      enrichments: all("enrichments"),
      attachments: all("attachments"),
      sources: all("sources"),
      derivations: all("derivations"),
      outbox: all("outbox"),
      integrity: all("integrity"),
      foreignKeys: all("foreignKeys")
    }
  })
