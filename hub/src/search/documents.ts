/** The texts that are indexed, and how they are stored. */
import type { JsonObject } from "@agentlip/protocol"
import type { Schema } from "effect"
import type { SqlClient } from "effect/sql"
import * as Dialect from "../database/Dialect.ts"
import { wordsOf } from "./words.ts"

/** The texts in a JSON value, one per line. */
const textsIn = (value: Schema.Json): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (typeof value === "number") return [String(value)]
  if (value === null || typeof value === "boolean") return []
  return Object.values(value).flatMap(textsIn)
}

/** The text of an attachment: its key and the values in it, one per line. */
export const attachmentText = (key: string | null, value: JsonObject): string =>
  [...(key === null ? [] : [key]), ...textsIn(value)].join("\n")

/** A text to be indexed. */
export interface Source {
  readonly number: number
  readonly message_id: string | null
  readonly attachment_id: string | null
  readonly text: string
}

/** PostgreSQL counts words in a text up to this one. */
const mostPositions = 16_383

/** The words of a text as a `tsvector`: words with weight A, and parts of names. */
const tsvectorOf = (text: string): string => {
  const positions = new Map<string, Array<string>>()
  const add = (word: string, place: string) => {
    const known = positions.get(word)
    if (known === undefined) positions.set(word, [place])
    else known.push(place)
  }
  wordsOf(text).forEach(({ word, parts }, index) => {
    const position = Math.min(index + 1, mostPositions)
    add(word, `${position}A`)
    for (const part of parts) add(part.word, String(position))
  })
  return [...positions].map(([word, places]) => `'${word}':${places.join(",")}`).join(" ")
}

/** The words of a text, and the parts of names, as FTS5 gets them. */
const columnsOf = (text: string) => {
  const words = wordsOf(text)
  return {
    words: words.map(({ word }) => word).join(" "),
    parts: words.flatMap(({ parts }) => parts.map(({ word }) => word)).join(" ")
  }
}

const keys = { number: "bigint", message_id: "text", attachment_id: "text" } as const

/** Adds documents, or fills those that have lost their words. */
export const makeDocuments = (sql: SqlClient.SqlClient) => {
  const add = sql.onDialectOrElse({
    pg: () => {
      const given = Dialect.given(sql, { ...keys, words: "text" })
      return (sources: ReadonlyArray<Source>) => sql`
        INSERT INTO search_documents (number, message_id, attachment_id, words)
        SELECT number, message_id, attachment_id, words::tsvector
        FROM ${given(sources.map(({ text, ...keys }) => ({ ...keys, words: tsvectorOf(text) })))}
        ON CONFLICT (number) DO UPDATE SET words = excluded.words`
    },
    orElse: () => {
      const given = Dialect.given(sql, { ...keys, words: "text", parts: "text" })
      return (sources: ReadonlyArray<Source>) => sql`
        INSERT INTO search_documents (number, message_id, attachment_id, words, parts)
        SELECT number, message_id, attachment_id, words, parts
        FROM ${given(sources.map(({ text, ...keys }) => ({ ...keys, ...columnsOf(text) })))}
        WHERE true
        ON CONFLICT (number) DO UPDATE SET words = excluded.words, parts = excluded.parts`
    }
  })
  return { add }
}
