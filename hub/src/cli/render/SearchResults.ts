/** Formats what a search found as lines of text. */
import { printable, printableLine } from "@agentlip/plugin-runtime/text"
import type { SearchIndex, SearchResult } from "@agentlip/protocol"
import { grouped } from "./grouped.ts"
import { underlined } from "./underline.ts"

/** Says so if not everything can be found yet. */
export const indexLines = ({ complete, done, total }: SearchIndex): ReadonlyArray<string> => {
  if (complete) return []
  return [
    done < total
      ? `Search does not find everything yet: ${grouped(done)} of ${grouped(total)} earlier messages and attachments are indexed, newest first.`
      : "Search does not find everything yet: the newest messages are not indexed."
  ]
}

const yellow = "\u001B[33m"

const headOf = (result: SearchResult): string => {
  const topic = `${result.channel_name}/${result.topic_title}`
  if (result.type === "message") {
    const { id, sender, created_at } = result.message
    return printableLine([created_at, topic, sender, id].join("  "))
  }
  const { id, kind, created_at } = result.attachment
  return printableLine([created_at, topic, `attached ${kind}`, id].join("  "))
}

/** A line about each result, and its text below, with what was found underlined if `colours`. */
export const resultLines = (results: ReadonlyArray<SearchResult>, colours: boolean): ReadonlyArray<string> =>
  results.flatMap((result, index) => {
    const { text, highlights, cut_before, cut_after } = result.snippet
    const lines = colours
      ? underlined(text, highlights, () => yellow)
      : printable(text.replaceAll("\r\n", "\n")).split("\n")
    const shown = lines.map((line, at) => {
      const start = at === 0 && cut_before ? "…" : ""
      return `  ${start}${line}${at === lines.length - 1 && cut_after ? "…" : ""}`
    })
    return [...(index === 0 ? [] : [""]), headOf(result), ...shown]
  })
