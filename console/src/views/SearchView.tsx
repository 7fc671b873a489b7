/** Search in messages and attachments. The query and its filters are in the address. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { type SearchFields, searchFieldsIn } from "../state/searchFields.ts"
import { Visible } from "./Name.tsx"
import { SearchFilters } from "./SearchFilters.tsx"
import { SearchResultItem } from "./SearchResultItem.tsx"
import { type Found, type Problem, useSearch } from "./useSearch.ts"

/** After the last letter, in milliseconds. */
const pause = 250

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
  // Before the next key, which may be a letter of the query.
  useLayoutEffect(() => {
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
        <SearchFilters fields={fields} change={change} />
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
