/** What a query finds, page by page, or what is wrong with it. */
import { HubError, type SearchIndex, type SearchResult } from "@agentlip/client"
import { useEffect, useRef, useState } from "preact/hooks"
import { hub, textOf } from "../session.ts"
import { searchFieldsIn, searchQuery } from "../state/searchFields.ts"

const pageSize = 20

export interface Problem {
  readonly text: string
  /** The mistake in the query. */
  readonly place?: { readonly query: string; readonly at: number; readonly length: number }
}

export interface Found {
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
export const useSearch = (address: string) => {
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
