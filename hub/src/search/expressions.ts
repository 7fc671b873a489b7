/** Queries in the languages of the databases' indexes. An expression finds everything that the query does, or more. */
import type { Query } from "./Query.ts"

/** Words have letters, digits and emoji only, so they need no escapes. */
const quoted = (words: ReadonlyArray<string>): string => `"${words.join(" ")}"`

/** For SQLite's FTS5. Only single words look at the parts of names. */
export const fts5Of = (query: Query): string => {
  switch (query._tag) {
    case "Phrase": {
      const { words, prefix, first } = query
      const phrase = `${quoted(words)}${prefix ? " *" : ""}`
      return first || words.length > 1 ? `words : ${first ? "^ " : ""}${phrase}` : phrase
    }
    case "Near":
      return `words : NEAR(${query.phrases.map(quoted).join(" ")}, ${query.distance})`
    case "And": {
      const all = query.all.map(inner).join(" AND ")
      return query.none.length === 0 ? all : `(${all}) NOT (${query.none.map(inner).join(" OR ")})`
    }
    case "Or":
      return query.any.map(inner).join(" OR ")
  }
}

const inner = (query: Query): string => `(${fts5Of(query)})`

/** A `tsquery` knows no NEAR and no first word, so it finds more for them. */
const isExact = (query: Query): boolean => {
  switch (query._tag) {
    case "Phrase":
      return !query.first
    case "Near":
      return false
    case "And":
      return [...query.all, ...query.none].every(isExact)
    case "Or":
      return query.any.every(isExact)
  }
}

const sequence = (words: ReadonlyArray<string>, prefix = false): string =>
  words.map((word, index) => `'${word}':${prefix && index === words.length - 1 ? "*" : ""}A`).join(" <-> ")

/** For PostgreSQL: a `tsquery`. Words have the weight A, and parts of names have none. */
export const tsqueryOf = (query: Query): string => {
  switch (query._tag) {
    case "Phrase": {
      const { words, prefix } = query
      const [word = "", ...others] = words
      return others.length === 0 ? `'${word}'${prefix ? ":*" : ""}` : sequence(words, prefix)
    }
    case "Near":
      return query.phrases.map((words) => `(${sequence(words)})`).join(" & ")
    case "And":
      return [
        ...query.all.map((each) => `(${tsqueryOf(each)})`),
        ...query.none.filter(isExact).map((each) => `!(${tsqueryOf(each)})`)
      ].join(" & ")
    case "Or":
      return query.any.map((each) => `(${tsqueryOf(each)})`).join(" | ")
  }
}
