/**
 * The guest's side of the connection to the host's network broker: writes and reads the fetch protocol's messages.
 */
import type { Content } from "./body.ts"
import { quote } from "../shared/describe.ts"
import { type Environment, parse } from "./capturedBuiltIns.ts"
import { OpenFetch } from "./OpenFetch.ts"
import { type HeaderPair, type HostMessage, maxMessageLength } from "../../wire/fetchMessages.ts"

/** The first message of a request. */
export interface Opening {
  readonly url: string
  readonly method: string
  readonly headers: ReadonlyArray<HeaderPair>
  readonly redirect: string
}

/** Builds the JSON from strings and numbers, so that a plugin's `toJSON` cannot change it. */
const openMessage = (id: number, opening: Opening, content: Content | undefined): string => {
  let headers = ""
  for (let at = 0; at < opening.headers.length; at++) {
    const pair = opening.headers[at]
    if (pair !== undefined) headers += `${at === 0 ? "" : ","}[${quote(pair[0])},${quote(pair[1])}]`
  }
  const length = content?.options.length
  return (
    `{"op":"open","id":${id},"url":${quote(opening.url)},"method":${quote(opening.method)},"headers":[${headers}],` +
    `"hasBody":${content !== undefined},${length === undefined ? "" : `"length":${length},`}"redirect":${quote(opening.redirect)}}`
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
  readonly #environment: Environment
  /** The open requests by id. The map has no prototype that a plugin could patch. */
  #open = none<OpenFetch>()
  #active = 0
  #unanswered = none<true>()
  #unansweredCount = 0
  #lastId = 0

  constructor(environment: Environment) {
    this.#environment = environment
  }

  get active(): number {
    return this.#active
  }

  open(opening: Opening, content: Content | undefined, signal: AbortSignal | undefined): OpenFetch {
    if (this.#unansweredCount >= unansweredAtMost) {
      throw new TypeError(
        `${unansweredAtMost} requests of this run have no answer yet; await some of them first`
      )
    }
    const id = this.#lastId + 1
    const message = openMessage(id, opening, content)
    if (message.length > maxMessageLength) throw new TypeError("the request's URL and headers are too long")
    this.#lastId = id
    const opened = new OpenFetch(this.#environment, id, content?.source, signal, message, () => {
      if (this.#open[id] === opened) {
        delete this.#open[id]
        this.#active--
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
      open[id]?.fail(this.#environment.makeError("AbortError", "the run that this fetch belonged to is over"))
    }
  }
}
