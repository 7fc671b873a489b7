/** One hub at its current address: locates it, checks that it is the hub, and sends requests with its token. */
import type { EventSource } from "./events.ts"
import { unreachable } from "./HubError.ts"
import { requireProof } from "./proof.ts"

/** The address of a hub and its token. */
export interface HubAddress {
  /** Such as `http://127.0.0.1:4000`. Use `""` in a page that the hub itself serves. */
  readonly url: string
  /** The token from `.agentlip/server.json`. Needed for writes, and for reads too if the hub has `readAuth`. */
  readonly token?: string
  /** The start of the hub that the token belongs to. If it is given, another hub at this address is refused. */
  readonly instance_id?: string
}

/** Returns the hub's address. It is called again after a restart of the hub, which has a new port and token. */
export type Locate = () => HubAddress | Promise<HubAddress>

export interface ConnectionOptions {
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch
}

/** A hub that has been located. */
interface Located {
  readonly address: HubAddress
  /** The hub's database. Known only with a token, because only a proof tells it. */
  readonly db_id: string | undefined
}

export interface Connection {
  readonly locate: () => Promise<Located>
  /** Forgets the address, so that the next request locates and checks the hub again. */
  readonly forget: () => void
  /** Sends a request to a path of the hub. Rejects with a `HubError` if there is no response. */
  readonly send: (path: string, init: RequestInit) => Promise<Response>
}

export const makeConnection = (locate: Locate, options: ConnectionOptions = {}): Connection => {
  const fetching = options.fetch ?? globalThis.fetch.bind(globalThis)
  let known: Promise<Located> | undefined
  const forget = (): void => (known = undefined)

  const find = async (): Promise<Located> => {
    const address = await locate()
    if (address.token === undefined) return { address, db_id: undefined }
    return { address, db_id: await requireProof(fetching, address.url, address.token, address.instance_id) }
  }
  const located = (): Promise<Located> => {
    if (known === undefined) {
      const finding = find()
      known = finding
      finding.catch(() => {
        if (known === finding) forget()
      })
    }
    return known
  }

  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const { url, token } = (await located()).address
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`)
    try {
      // A hub never redirects. A redirect could send the token elsewhere.
      return await fetching(url + path, { ...init, headers, redirect: "error" })
    } catch (cause) {
      if (init.signal?.aborted === true) throw cause
      forget()
      throw unreachable(url, cause)
    }
  }
  return { locate: located, forget, send }
}

/** What the event stream needs from a connection. */
export const eventSource = ({ locate, forget, send }: Connection, newest: EventSource["newest"]) => ({
  open: (query: string, signal: AbortSignal): Promise<Response> => {
    // After a lost stream, another process may use the port.
    forget()
    return send(`/api/v1/events/stream?${query}`, { headers: { accept: "text/event-stream" }, signal })
  },
  database: async (): Promise<string | undefined> => (await locate()).db_id,
  newest
})
