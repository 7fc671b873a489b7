/** A promise-based client of one hub, for Node, Bun and browsers. */
import type { LiveEvent } from "@agentlip/protocol"
import type { CallName, CallOptions, Calls } from "./Calls.ts"
import { type EventOptions, follow } from "./events.ts"
import { HubError, refusalIn, unreachable } from "./HubError.ts"
import { requireProof } from "./proof.ts"
import { routes } from "./routes.ts"

/** The address of a hub and its token. */
export interface HubAddress {
  /** Such as `http://127.0.0.1:4000`. Use `""` in a page that the hub itself serves. */
  readonly url: string
  /** The token from `.agentlip/server.json`. Needed for writes, and for reads too if the hub has `readAuth`. */
  readonly token?: string
}

export interface HubClientOptions {
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch
}

export interface HubClient extends Calls {
  /** The hub's current address. */
  readonly address: () => Promise<HubAddress>
  /**
   * Live events, each once and in order, even if the hub restarts. Ends with `options.signal`. Rejects with a
   * `HubError` if the hub refuses.
   */
  readonly follow: (options?: EventOptions) => AsyncIterableIterator<LiveEvent>
}

interface GivenRequest {
  readonly params?: { readonly [name: string]: string }
  readonly query?: { readonly [name: string]: unknown }
  readonly payload?: unknown
}

const pathOf = (template: string, { params = {}, query = {} }: GivenRequest): string => {
  const path = template.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one))
  }
  const text = search.toString()
  return text === "" ? path : `${path}?${text}`
}

/**
 * Makes a client. It calls `address` again if the hub does not respond or rejects the token, because a restarted hub
 * has a new port and token.
 *
 * @example
 * ```ts
 * const hub = makeHubClient(() => ({ url: "http://127.0.0.1:4000", token }))
 * const { message } = await hub.createMessage({ payload: { topic_id, sender: "ada", content_raw: "hello" } })
 * ```
 */
export const makeHubClient = (
  address: () => HubAddress | Promise<HubAddress>,
  options: HubClientOptions = {}
): HubClient => {
  const fetching = options.fetch ?? globalThis.fetch.bind(globalThis)
  let known: Promise<HubAddress> | undefined
  const locate = (): Promise<HubAddress> => {
    known ??= Promise.resolve()
      .then(address)
      .then(async (found) => {
        if (found.token !== undefined) await requireProof(fetching, found.url, found.token)
        return found
      })
    known.catch(() => (known = undefined))
    return known
  }

  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const { url, token } = await locate()
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`)
    try {
      // A hub never redirects. A redirect could send the token elsewhere.
      return await fetching(url + path, { ...init, headers, redirect: "error" })
    } catch (cause) {
      if (init.signal?.aborted === true) throw cause
      known = undefined
      throw unreachable(url, cause)
    }
  }

  const call = async (
    name: CallName,
    request: GivenRequest = {},
    { signal, idempotencyKey }: CallOptions = {}
  ): Promise<unknown> => {
    const [method = "", template = ""] = routes[name].split(" ")
    const headers = new Headers()
    if (method !== "GET") headers.set("content-type", "application/json")
    if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey)
    const response = await send(pathOf(template, request), {
      method,
      headers,
      ...(method === "GET" ? {} : { body: JSON.stringify(request.payload ?? {}) }),
      ...(signal === undefined ? {} : { signal })
    })
    const text = await response.text()
    if (!response.ok) {
      const refusal = refusalIn(response.status, text)
      if (refusal.code === "INVALID_AUTH") known = undefined
      throw refusal
    }
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new HubError("The answer is not that of an Agentlip hub", {
        code: "NOT_A_HUB",
        status: response.status,
        cause
      })
    }
  }

  const calls: Partial<Record<CallName, unknown>> = {}
  for (const name of Object.keys(routes) as ReadonlyArray<CallName>) {
    calls[name] = (request?: GivenRequest, options?: CallOptions) => call(name, request, options)
  }
  const source = {
    open: (query: string, signal: AbortSignal) => {
      // Locate and check the hub again: after a lost stream, another process may use the port.
      known = undefined
      return send(`/api/v1/events/stream?${query}`, { headers: { accept: "text/event-stream" }, signal })
    },
    newest: async () => {
      const answer = await call("events", { query: { tail: 1 } })
      // The protocol declares this shape for `events`.
      return (answer as { readonly replay_until: number }).replay_until
    }
  }
  return {
    // The loop above has added every name.
    ...(calls as Calls),
    address: locate,
    follow: (given = {}) => follow(source, given)
  }
}
