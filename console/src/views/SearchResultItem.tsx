/** One message or attachment that a search has found. */
import type { SearchResult, Snippet } from "@agentlip/client"
import { pathOf } from "../route.ts"
import { Name, Visible } from "./Name.tsx"
import { Time } from "./Time.tsx"

/** The text around what was found, with that marked. It is text, whatever is in it. */
const Marked = ({ snippet: { text, highlights, cut_before, cut_after } }: { readonly snippet: Snippet }) => {
  const ends = [0, ...highlights.map(({ end }) => end)]
  return (
    <p class="text" dir="auto">
      {cut_before && "…"}
      {highlights.map(({ start, end }, index) => (
        <span key={start}>
          <Visible text={text.slice(ends[index], start)} />
          <mark>
            <Visible text={text.slice(start, end)} />
          </mark>
        </span>
      ))}
      <Visible text={text.slice(ends.at(-1))} />
      {cut_after && "…"}
    </p>
  )
}

/** The message itself, or the message or topic that an attachment belongs to. */
const pathTo = (result: SearchResult): string => {
  if (result.type === "message") return pathOf.message(result.message.topic_id, result.message.id)
  const { topic_id, source_message_id } = result.attachment
  return source_message_id === null ? pathOf.topic(topic_id) : pathOf.message(topic_id, source_message_id)
}

export const SearchResultItem = ({ result }: { readonly result: SearchResult }) => {
  const { created_at } = result.type === "message" ? result.message : result.attachment
  return (
    <li>
      <p>
        <a href={pathTo(result)}>
          <Name text={result.channel_name} /> / <Name text={result.topic_title} />
        </a>{" "}
        {result.type === "message" ? (
          <Name text={result.message.sender} />
        ) : (
          <>
            attached <Name text={result.attachment.kind} />
          </>
        )}{" "}
        <span class="quiet">
          <Time iso={created_at} form="brief" />
        </span>
      </p>
      <Marked snippet={result.snippet} />
    </li>
  )
}
