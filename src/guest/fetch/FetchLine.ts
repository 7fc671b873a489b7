/**
 * The guest's side of the connection to the host's network broker: writes and reads the fetch protocol's messages.
 */
import { takeContent } from "./body.ts"
import { quote } from "../shared/describe.ts"
import { parse } from "../shared/intrinsics.ts"
import { makeError } from "./capturedBuiltIns.ts"
import { pairsOf } from "./headers.ts"
import { type Broker, OpenFetch } from "./OpenFetch.ts"
import type { Request } from "./RequestResponse.ts"
import { type HostMessage, maxMessageLength } from "../../wire/fetchMessages.ts"

/** Builds the JSON from strings and numbers, so that a plugin's `toJSON` cannot change it. */
const openMessage = (id: number, request: Request, hasBody: boolean, length: number | undefined): string => {
  const pairs = pairsOf(request.headers)
  let headers = ""
  for (let at = 0; at < pairs.length; at++) {
    const pair = pairs[at]
    if (pair !== undefined) headers += `${at === 0 ? "" : ","}[${quote(pair[0])},${quote(pair[1])}]`
  }
  return (
    `{"op":"open","id":${id},"url":${quote(request.url)},"method":${quote(request.method)},"headers":[${headers}],` +
    `"hasBody":${hasBody},${length === undefined ? "" : `"length":${length},`}"redirect":${quote(request.redirect)}}`
  )
}

const { create } = Object
/** An empty map from id to value. It has no prototype, so lookups find only its own entries. */
const none = <A>(): Record<number, A> => create(null)

/**
 * The most requests of one run that wait for a first message from the host; aborted requests count too. The host
 * reads a guest's messages in one turn of its event loop, so a plugin that opens requests in a loop must not block
 * the host.
 */
const unansweredAtMost = 512

export class FetchLine {
  readonly #broker: Broker
  /** The open requests by id. The map has no prototype that a plugin could patch. */
  #open = none<OpenFetch>()
  #active = 0
  #unanswered = none<true>()
  #unansweredCount = 0
  #lastId = 0

  constructor(broker: Broker) {
    this.#broker = broker
  }

  get active(): number {
    return this.#active
  }

  open(request: Request): OpenFetch {
    const content = takeContent(request)
    if (this.#unansweredCount >= unansweredAtMost) {
      throw new TypeError(
        `${unansweredAtMost} requests of this run have no answer yet; await some of them first`
      )
    }
    const id = this.#lastId + 1
    const message = openMessage(id, request, content !== undefined, content?.options.length)
    if (message.length > maxMessageLength) throw new TypeError("the request's URL and headers are too long")
    this.#lastId = id
    const opened = new OpenFetch({
      broker: this.#broker,
      id,
      message,
      upload: content?.source,
      signal: request.signal,
      onDone: () => {
        if (this.#open[id] === opened) {
          delete this.#open[id]
          this.#active--
        }
      }
    })
    this.#open[id] = opened
    this.#active++
    this.#unanswered[id] = true
    this.#unansweredCount++
    return opened
  }

  receive(json: string): void {
    // The host is trusted, so the message's shape is not checked.
    const message = parse(json) as HostMessage
    if (this.#unanswered[message.id] === true) {
      delete this.#unanswered[message.id]
      this.#unansweredCount--
    }
    this.#open[message.id]?.receive(message)
  }

  reset(): void {
    const open = this.#open
    this.#open = none()
    this.#active = 0
    this.#unanswered = none()
    this.#unansweredCount = 0
    for (const id in open) {
      open[id]?.fail(makeError("AbortError", "the run that this fetch belonged to is over"))
    }
  }
}
