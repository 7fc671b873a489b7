/** A promise-based client of one hub, for Node, Bun and browsers. */
import type { LiveEvent } from "@agentlip/protocol"
import type { CallName, CallOptions, Calls } from "./Calls.ts"
import {
  type ConnectionOptions,
  eventSource,
  type HubAddress,
  type Locate,
  makeConnection
} from "./connection.ts"
import { type EventOptions, follow } from "./events.ts"
import { notAHub, refusalIn } from "./HubError.ts"
import { routes } from "./routes.ts"

export interface HubClientOptions extends ConnectionOptions {}

export interface HubClient extends Calls {
  /** The hub's current address. Rejects with a `HubError` if the hub cannot be reached. */
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
 * Makes a client. It calls `locate` again if the hub does not respond or rejects the token, because a restarted hub has a
 * new port and token.
 *
 * @example
 * ```ts
 * const hub = makeHubClient(() => ({ url: "http://127.0.0.1:4000", token }))
 * const { message } = await hub.createMessage({ payload: { topic_id, sender: "ada", content_raw: "hello" } })
 * ```
 */
export const makeHubClient = (locate: Locate, options: HubClientOptions = {}): HubClient => {
  const connection = makeConnection(locate, options)

  const call = async (
    name: CallName,
    request: GivenRequest = {},
    { signal, idempotencyKey }: CallOptions = {}
  ): Promise<unknown> => {
    const [method = "", template = ""] = routes[name].split(" ")
    const headers = new Headers()
    if (method !== "GET") headers.set("content-type", "application/json")
    if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey)
    const response = await connection.send(pathOf(template, request), {
      method,
      headers,
      ...(method === "GET" ? {} : { body: JSON.stringify(request.payload ?? {}) }),
      ...(signal === undefined ? {} : { signal })
    })
    const text = await response.text()
    if (!response.ok) {
      const refusal = refusalIn(response.status, text)
      if (refusal.code === "INVALID_AUTH") connection.forget()
      throw refusal
    }
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw notAHub(response.status, cause)
    }
  }

  const calls: Partial<Record<CallName, unknown>> = {}
  for (const name of Object.keys(routes) as ReadonlyArray<CallName>) {
    calls[name] = (request?: GivenRequest, options?: CallOptions) => call(name, request, options)
  }
  const source = eventSource(connection, async (signal) => {
    const answer = await call("events", { query: { tail: 1 } }, { signal })
    // The protocol declares this shape for `events`.
    return (answer as { readonly replay_until: number }).replay_until
  })
  return {
    // The loop above has added every name.
    ...(calls as Calls),
    address: async () => (await connection.locate()).address,
    follow: (given = {}) => follow(source, given)
  }
}
