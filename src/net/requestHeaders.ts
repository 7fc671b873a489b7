/** The headers of a plugin's requests. */
import type { IncomingMessage } from "node:http"
import type { HeaderPair } from "../wire/fetchMessages.ts"

/** Headers about the transfer between broker and server, which only the broker may set. */
const ofTheBroker = new Set(
  `accept-encoding connection content-length expect host keep-alive te trailer transfer-encoding upgrade
  via`.split(/\s+/)
)

/** The most headers of a request or a response. */
export const maxHeaders = 256

/** The problem with a plugin's headers, or `undefined`. */
export const headersProblem = (headers: ReadonlyArray<HeaderPair>): string | undefined => {
  if (headers.length > maxHeaders) return `a request cannot have more than ${maxHeaders} headers`
  const refused = headers.find(([name]) => ofTheBroker.has(name.toLowerCase()) || /^proxy-/i.test(name))
  return refused === undefined
    ? undefined
    : `the header "${refused[0]}" is set by the host and cannot be set by a plugin; leave it out`
}

/** The plugin's headers, completed with those that servers expect of every client. */
export const requestHeaders = (pairs: ReadonlyArray<HeaderPair>): Headers => {
  const headers = new Headers()
  for (const [name, value] of pairs) headers.append(name, value)
  if (!headers.has("accept")) headers.set("accept", "*/*")
  if (!headers.has("user-agent")) headers.set("user-agent", "agentlip-plugin-runtime")
  // No `deflate`, `br` or `zstd`: any server could exploit a flaw in their decoders to attack the hub.
  headers.set("accept-encoding", "gzip")
  return headers
}

/** A response's headers as they came, with repeated ones kept separate. */
export const responseHeaders = ({ rawHeaders }: IncomingMessage): ReadonlyArray<HeaderPair> => {
  const pairs: Array<HeaderPair> = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    pairs.push([(rawHeaders[at] ?? "").toLowerCase(), rawHeaders[at + 1] ?? ""])
  }
  return pairs
}
