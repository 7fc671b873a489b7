/**
 * What a plugin's `fetch` and the host's broker say to each other, as JSON texts, one message each.
 *
 * - `open` starts a request; ids only grow. The host answers with one `head` or one `error`.
 * - Response bodies are pulled: after `head` the host sends one `chunk`, then one for each `pull`. It sends `end` without
 *   a `pull`, so that a small body that is not read does not stay open.
 * - Request bodies are pulled the other way: a `body` or `bodyEnd` for each `more` of the host.
 * - `end`, `error` (host) and `cancel` (guest) end a request; later messages about it are ignored.
 */

/** A header as it goes over the wire; names are lower case. */
export type HeaderPair = readonly [name: string, value: string]

export type RedirectMode = "follow" | "error" | "manual"

export type GuestMessage =
  | {
      readonly op: "open"
      readonly id: number
      readonly url: string
      readonly method: string
      readonly headers: ReadonlyArray<HeaderPair>
      readonly hasBody: boolean
      /** Bytes of the body, if known: then it has exactly as many. */
      readonly length?: number
      readonly redirect: RedirectMode
    }
  | { readonly op: "body"; readonly id: number; readonly data: string }
  | { readonly op: "bodyEnd"; readonly id: number }
  | { readonly op: "pull"; readonly id: number }
  | { readonly op: "cancel"; readonly id: number }

export type HostMessage =
  | {
      readonly op: "head"
      readonly id: number
      readonly status: number
      readonly statusText: string
      readonly headers: ReadonlyArray<HeaderPair>
      /** The last URL, after redirects. */
      readonly url: string
      readonly redirected: boolean
    }
  | { readonly op: "chunk"; readonly id: number; readonly data: string }
  | { readonly op: "end"; readonly id: number }
  | { readonly op: "more"; readonly id: number }
  | {
      readonly op: "error"
      readonly id: number
      readonly name: string
      readonly message: string
      /** The entry of `grants.net` without which it was refused. */
      readonly grant?: string
    }

/** The most bytes of a body in one message, before base64. */
export const maxChunk = 64 * 1024

/** The longest message of a guest: room for one chunk in base64, or for a request's URL and headers. */
export const maxMessageLength = 128 * 1024
