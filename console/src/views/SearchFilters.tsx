/** What narrows a search: where, who, when. */
import { useEffect } from "preact/hooks"
import { channels, needTopics, topicsOf } from "../state/directory.ts"
import type { SearchFields } from "../state/searchFields.ts"
import { plain } from "../text/characters.ts"
import { Options } from "./Options.tsx"

export const SearchFilters = ({
  fields,
  change
}: {
  readonly fields: SearchFields
  readonly change: (changed: SearchFields) => void
}) => {
  const { channel_id } = fields
  useEffect(() => {
    if (channel_id !== undefined) needTopics(channel_id)
  }, [channel_id])
  const day = (name: "since" | "until") => (
    <label>
      {name}{" "}
      <input
        type="date"
        value={fields[name] ?? ""}
        onInput={(event) => change({ [name]: event.currentTarget.value })}
      />
    </label>
  )
  return (
    <div class="row" role="group" aria-label="Filters">
      <label>
        in{" "}
        <select value={fields.in ?? ""} onChange={(event) => change({ in: event.currentTarget.value })}>
          <option value="">messages and attachments</option>
          <option value="messages">messages</option>
          <option value="attachments">attachments</option>
        </select>
      </label>
      <label>
        channel{" "}
        <select
          value={channel_id ?? ""}
          onChange={(event) => change({ channel_id: event.currentTarget.value, topic_id: "" })}
        >
          <option value="">all</option>
          <Options of={channels.value.map(({ id, name }) => [id, plain(name)])} />
        </select>
      </label>
      {channel_id !== undefined && (
        <label>
          topic{" "}
          <select
            value={fields.topic_id ?? ""}
            onChange={(event) => change({ topic_id: event.currentTarget.value })}
          >
            <option value="">all</option>
            <Options of={topicsOf(channel_id).map(({ id, title }) => [id, plain(title)])} />
          </select>
        </label>
      )}
      <label>
        sender{" "}
        <input
          type="search"
          dir="auto"
          value={fields.sender ?? ""}
          onInput={(event) => change({ sender: event.currentTarget.value })}
        />
      </label>
      {day("since")}
      {day("until")}
    </div>
  )
}
