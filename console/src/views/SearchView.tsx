/** Search in messages and attachments. The query and its filters are in the address. */
import { HubError, type SearchIndex, type SearchResult } from "@agentlip/client"
import { useEffect, useRef, useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { hub, textOf } from "../session.ts"
import { channels, needTopics, topicsOf } from "../state/directory.ts"
import { type SearchFields, searchFieldsIn, searchQuery } from "../state/searchFields.ts"
import { plain } from "../text/characters.ts"
import { SearchResultItem } from "./SearchResultItem.tsx"
import { Visible } from "./Name.tsx"

const pageSize = 20
/** After the last letter, in milliseconds. */
const pause = 250

interface Problem {
  readonly text: string
  /** The mistake in the query. */
  readonly place?: { readonly query: string; readonly at: number; readonly length: number }
}

interface Found {
  readonly results: ReadonlyArray<SearchResult>
  readonly next: string | null
  readonly index: SearchIndex
}

const problemOf = (error: unknown, query: string): Problem => {
  const text = textOf(error)
  const { at, length } = (error instanceof HubError ? error.details : undefined) ?? {}
  return typeof at === "number" && typeof length === "number"
    ? { text: text.replace(/^q: /, ""), place: { query, at, length } }
    : { text }
}

/** Reads the first page of a query, and further ones. */
const useSearch = (address: string) => {
  const [found, setFound] = useState<Found | undefined>(undefined)
  const [problem, setProblem] = useState<Problem | undefined>(undefined)
  const [isReading, setReading] = useState(false)
  const latest = useRef(new AbortController())
  const read = (before: Found | undefined): void => {
    latest.current.abort()
    const fields = searchFieldsIn(address)
    if ((fields.q ?? "").trim() === "") {
      setFound(undefined)
      setProblem(undefined)
      setReading(false)
      return
    }
    const stop = new AbortController()
    latest.current = stop
    setReading(true)
    const after = before?.next ?? undefined
    const query = { ...searchQuery(fields), limit: pageSize, ...(after === undefined ? {} : { after }) }
    hub.search({ query }, { signal: stop.signal }).then(
      (page) => {
        if (stop.signal.aborted) return
        setFound({ ...page, results: [...(before?.results ?? []), ...page.results] })
        setProblem(undefined)
        setReading(false)
      },
      (error) => {
        if (stop.signal.aborted) return
        setProblem(problemOf(error, fields.q ?? ""))
        setReading(false)
      }
    )
  }
  useEffect(() => {
    read(undefined)
    return () => latest.current.abort()
  }, [address])
  return { found, problem, isReading, more: () => read(found) }
}

const Mistake = ({ query, at, length }: NonNullable<Problem["place"]>) => (
  <>
    {" "}
    <code dir="auto">
      <Visible text={query.slice(0, at)} />
      <mark class="mistake">
        <Visible text={query.slice(at, at + Math.max(1, length)) || "…"} />
      </mark>
      <Visible text={query.slice(at + Math.max(1, length))} />
    </code>
  </>
)

const Filters = ({
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
          {channels.value.map(({ id, name }) => (
            <option key={id} value={id}>
              {plain(name)}
            </option>
          ))}
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
            {topicsOf(channel_id).map(({ id, title }) => (
              <option key={id} value={id}>
                {plain(title)}
              </option>
            ))}
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

const Help = () => (
  <div class="quiet">
    <p>Results appear as you type, the newest first.</p>
    <p>
      <code>deploy friday</code> both words · <code>"on friday"</code> a phrase · <code>deploy*</code> words
      that start so · <code>deploy OR release</code> · <code>deploy -draft</code>
    </p>
    <p>
      From a terminal: <code>agentlip search deploy friday</code>
    </p>
  </div>
)

const numberOf = ({ results, next }: Found): string => {
  if (results.length === 0 && next === null) return "Nothing was found."
  return `${results.length}${next === null ? "" : " or more"} ${results.length === 1 ? "result" : "results"}`
}

/** Moves the focus among the text field and the results. */
const moveFocus = (event: KeyboardEvent): void => {
  const { currentTarget, target } = event
  if (!(currentTarget instanceof HTMLElement) || !(target instanceof HTMLElement) || event.isComposing) return
  const isField = target.id === "search-text"
  const links = [...currentTarget.querySelectorAll<HTMLElement>(".results a")]
  const at = links.indexOf(target)
  if (!isField && at === -1) return
  const down = event.key === "ArrowDown" || (!isField && event.key === "j")
  const up = !isField && (event.key === "ArrowUp" || event.key === "k")
  if (!down && !up) return
  event.preventDefault()
  const next = up && at === 0 ? document.getElementById("search-text") : links[at + (down ? 1 : -1)]
  next?.focus()
}

export const SearchView = ({ query: address }: { readonly query: string }) => {
  const [fields, setFields] = useState(() => searchFieldsIn(address))
  const shown = useRef(address)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const { found, problem, isReading, more } = useSearch(address)
  useEffect(() => {
    // Another address, such as after Back.
    if (shown.current !== address) setFields(searchFieldsIn(address))
    shown.current = address
  }, [address])
  useEffect(() => {
    document.getElementById("search-text")?.focus()
    return () => clearTimeout(timer.current)
  }, [])
  const show = (next: SearchFields): void => {
    clearTimeout(timer.current)
    const path = pathOf.search(next)
    shown.current = path.slice(path.indexOf("#") + 1)
    go(path, { replace: true })
  }
  const change = (changed: SearchFields): void => {
    const next = { ...fields, ...changed }
    for (const name of Object.keys(changed) as ReadonlyArray<keyof SearchFields>) {
      if (next[name] === "") delete next[name]
    }
    setFields(next)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => show(next), pause)
  }
  return (
    <section class="page search" aria-labelledby="view-title" onKeyDown={moveFocus}>
      <h1 id="view-title" tabIndex={-1}>
        Search
      </h1>
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          show(fields)
        }}
      >
        <input
          id="search-text"
          type="search"
          dir="auto"
          maxLength={1_000}
          aria-label="Search messages and attachments"
          placeholder="Search messages and attachments"
          value={fields.q ?? ""}
          onInput={(event) => change({ q: event.currentTarget.value })}
        />
        <Filters fields={fields} change={change} />
      </form>
      <p role="status" class={problem === undefined ? "quiet" : "problem"}>
        {problem !== undefined ? (
          <>
            {problem.text}
            {problem.place !== undefined && <Mistake {...problem.place} />}
          </>
        ) : isReading && found === undefined ? (
          "Searching…"
        ) : (
          found !== undefined && numberOf(found)
        )}
      </p>
      {found !== undefined && !found.index.complete && (
        <p class="notice">
          Older messages are still being indexed: {found.index.done.toLocaleString()} of{" "}
          {found.index.total.toLocaleString()}. Newer ones are found already.
        </p>
      )}
      {found === undefined && problem === undefined && !isReading && <Help />}
      {found !== undefined && problem === undefined && (
        <ol class="list results">
          {found.results.map((result) => (
            <SearchResultItem
              key={result.type === "message" ? result.message.id : result.attachment.id}
              result={result}
            />
          ))}
        </ol>
      )}
      {found !== undefined && problem === undefined && found.next !== null && (
        <button type="button" disabled={isReading} onClick={more}>
          Show more
        </button>
      )}
    </section>
  )
}
