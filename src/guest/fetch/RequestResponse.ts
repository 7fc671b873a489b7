/** The Web's `Request` and `Response`, limited to the members that plugins and their libraries use. */
import { Body, type BodyInit, cloneContent, type Content, contentOf, takeContent } from "./body.ts"
import { stringify } from "../shared/intrinsics.ts"
import { idleSignal, normalise } from "./capturedBuiltIns.ts"
import { fromPairs, Headers, type HeadersInit } from "./headers.ts"
import type { HostMessage, RedirectMode } from "../../wire/fetchMessages.ts"

/**
 * The options of `fetch` that have an effect. The Web's other options (`mode`, `credentials`, `cache`) concern
 * browsers only and are ignored.
 */
export interface RequestInit {
  readonly method?: string
  readonly headers?: HeadersInit
  readonly body?: BodyInit | Content | null
  readonly signal?: AbortSignal | null
  readonly redirect?: RedirectMode
}

export interface ResponseInit {
  readonly status?: number
  readonly statusText?: string
  readonly headers?: HeadersInit
}

/** The head of a response that the broker sent. */
export type Head = Extract<HostMessage, { readonly op: "head" }>

const shouted = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

const methodOf = (method: unknown): string => {
  const text = `${method}`
  if (!token.test(text)) throw new TypeError(`"${text.slice(0, 100)}" is not a method`)
  const upper = text.toUpperCase()
  return shouted.includes(upper) ? upper : text
}

const redirectOf = (mode: unknown): RedirectMode => {
  if (mode === "follow" || mode === "error" || mode === "manual") return mode
  throw new TypeError('redirect is one of "follow", "error", "manual"')
}

const withoutBody = (status: number): boolean =>
  status === 101 || status === 103 || status === 204 || status === 205 || status === 304

const isRedirect = (status: number): boolean =>
  status === 301 || status === 302 || status === 303 || status === 307 || status === 308

/** Sets the content type that belongs to the body, unless the plugin set one. */
const addType = (headers: Headers, content: Content | undefined): void => {
  const type = content?.options.type
  if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type)
}

export class Request extends Body {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly redirect: RedirectMode
  readonly signal: AbortSignal

  constructor(input: string | URL | Request, init: RequestInit = {}) {
    const from = input instanceof Request ? input : undefined
    const method = methodOf(init.method ?? from?.method ?? "GET")
    const given = contentOf(init.body)
    const content = given ?? (from === undefined ? undefined : takeContent(from))
    if (content !== undefined && (method === "GET" || method === "HEAD")) {
      throw new TypeError(`a ${method} request cannot have a body`)
    }
    super(content)
    this.method = method
    this.url = from?.url ?? normalise(`${input}`)
    this.headers = new Headers(init.headers ?? from?.headers)
    addType(this.headers, given)
    this.redirect = redirectOf(init.redirect ?? from?.redirect ?? "follow")
    this.signal = (init.signal === undefined ? from?.signal : init.signal) ?? idleSignal()
  }

  get [Symbol.toStringTag](): string {
    return "Request"
  }

  clone(): Request {
    return new Request(this.url, {
      method: this.method,
      headers: this.headers,
      redirect: this.redirect,
      signal: this.signal,
      body: cloneContent(this) ?? null
    })
  }
}

interface Summary extends Omit<Head, "op" | "id" | "headers"> {
  readonly type: "basic" | "default" | "error"
}

/** Makes a response of the network. */
export let fromNetwork: (head: Head, content: Content) => Response

export class Response extends Body {
  readonly headers: Headers
  #summary: Summary

  static {
    fromNetwork = ({ headers, ...head }, content) =>
      Response.#make(withoutBody(head.status) ? undefined : content, fromPairs(headers), {
        ...head,
        type: "basic"
      })
  }

  static #make(content: Content | undefined, headers: Headers, summary: Summary): Response {
    const response = new Response(content, { headers })
    response.#summary = summary
    return response
  }

  static json(data: unknown, init: ResponseInit = {}): Response {
    const text: unknown = stringify(data)
    if (typeof text !== "string") throw new TypeError("the data cannot be written as JSON")
    const headers = new Headers(init.headers)
    if (!headers.has("content-type")) headers.set("content-type", "application/json")
    return new Response(text, { ...init, headers })
  }

  static error(): Response {
    const summary: Summary = { status: 0, statusText: "", url: "", redirected: false, type: "error" }
    return Response.#make(undefined, new Headers(), summary)
  }

  static redirect(url: string | URL, status = 302): Response {
    if (!isRedirect(status)) throw new RangeError(`${status} is not the status of a redirect`)
    return new Response(null, { status, headers: { location: normalise(`${url}`) } })
  }

  constructor(
    body?: BodyInit | Content | null,
    { status = 200, statusText = "", headers }: ResponseInit = {}
  ) {
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError("a response's status is a whole number from 200 to 599")
    }
    const content = contentOf(body)
    if (content !== undefined && withoutBody(status)) {
      throw new TypeError(`a response with status ${status} cannot have a body`)
    }
    super(content)
    this.headers = new Headers(headers)
    addType(this.headers, content)
    this.#summary = { status, statusText: `${statusText}`, url: "", redirected: false, type: "default" }
  }

  get [Symbol.toStringTag](): string {
    return "Response"
  }

  get status(): number {
    return this.#summary.status
  }

  get statusText(): string {
    return this.#summary.statusText
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299
  }

  get url(): string {
    return this.#summary.url
  }

  get redirected(): boolean {
    return this.#summary.redirected
  }

  get type(): Summary["type"] {
    return this.#summary.type
  }

  clone(): Response {
    return Response.#make(cloneContent(this), new Headers(this.headers), this.#summary)
  }
}
