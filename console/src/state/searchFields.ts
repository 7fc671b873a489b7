/** The fields of the search, as the address has them. */
import type { RequestOf } from "@agentlip/client"

type Query = RequestOf<"search">["query"]

const names = ["q", "in", "channel_id", "topic_id", "sender", "since", "until"] as const

/** `since` and `until` are days of the reader. A field that is empty is missing. */
export type SearchFields = { [Name in (typeof names)[number]]?: string }

export const searchFieldsIn = (address: string): SearchFields => {
  const given = new URLSearchParams(address)
  const fields: SearchFields = {}
  for (const name of names) {
    const value = given.get(name)
    if (value !== null && value !== "") fields[name] = value
  }
  return fields
}

/** Midnight before a day of the reader, or days later; `undefined` if it is not a day. */
const midnight = (day: string, later = 0): string | undefined => {
  const date = new Date(`${day}T00:00`)
  if (Number.isNaN(date.getTime())) return undefined
  date.setDate(date.getDate() + later)
  return date.toISOString()
}

const isPlace = (text: string | undefined): text is "messages" | "attachments" =>
  text === "messages" || text === "attachments"

/** What the hub is asked. `until` includes its day. */
export const searchQuery = ({ q = "", since, until, in: place, ...filters }: SearchFields): Query => {
  const created_after = since === undefined ? undefined : midnight(since)
  const created_before = until === undefined ? undefined : midnight(until, 1)
  return {
    q,
    ...filters,
    ...(isPlace(place) ? { in: place } : {}),
    ...(created_after === undefined ? {} : { created_after }),
    ...(created_before === undefined ? {} : { created_before })
  }
}
