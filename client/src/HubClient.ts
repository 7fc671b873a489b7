/** A client of one hub, with promises; on Node, Bun and in browsers. */
import type { LiveEvent } from "@agentlip/protocol"
import type { CallName, CallOptions, Calls } from "./Calls.ts"
import { type EventOptions, follow } from "./events.ts"
import { HubError, refusalIn, unreachable } from "./HubError.ts"
import { requireProof } from "./proof.ts"
import { routes } from "./routes.ts"

/** Where a hub is, and what opens it. */
export interface HubAddress {
  /** Such as `http://127.0.0.1:4000`; `""` in a page that the hub itself has served. */
  readonly url: string
  /** Of `.agentlip/server.json`, for writes. A page of the hub has a session instead. */
  readonly token?: string
}

export interface HubClientOptions {
  /** Default: the global one. */
  readonly fetch?: typeof fetch
}

export interface HubClient extends Calls {
  /** Where the hub was last found. */
  readonly address: () => Promise<HubAddress>
  /**
   * Events as they happen, each once and in order, through restarts of the hub. Ends with `options.signal`; rejects with
   * a `HubError` if the hub refuses.
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
 * Makes a client. `address` is asked again when the hub does not answer where it was, or no longer knows the token: a
 * hub that was restarted has others.
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
      // No hub redirects; what does could lead the token elsewhere.
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
      // What answers after a stream was cut may be another process.
      known = undefined
      return send(`/api/v1/events/stream?${query}`, { headers: { accept: "text/event-stream" }, signal })
    },
    newest: async () => {
      const answer = await call("events", { query: { tail: 1 } })
      // As the protocol declares the answer of `events`.
      return (answer as { readonly replay_until: number }).replay_until
    }
  }
  return {
    // Every name of the table has its call.
    ...(calls as Calls),
    address: locate,
    follow: (given = {}) => follow(source, given)
  }
}
