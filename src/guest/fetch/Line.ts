/** The guest's end of the line to the broker: writes and reads the protocol's messages. */
import type { Content } from "./body.ts"
import { type Environment, parse, quote } from "./environment.ts"
import { Exchange } from "./Exchange.ts"
import { type HeaderPair, type HostMessage, maxMessageLength } from "./protocol.ts"

/** What a request starts with. */
export interface Opening {
  readonly url: string
  readonly method: string
  readonly headers: ReadonlyArray<HeaderPair>
  readonly redirect: string
}

/** Made by hand from strings and numbers: no `toJSON` of a plugin's has a say in it. */
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
/** No requests; without a prototype, so that nothing can be found in it that was not put there. */
const none = (): Record<number, Exchange> => create(null)

export class Line {
  readonly #environment: Environment
  /** By id; without a prototype that a plugin could patch. */
  #open = none()
  #active = 0
  #lastId = 0

  constructor(environment: Environment) {
    this.#environment = environment
  }

  get active(): number {
    return this.#active
  }

  open(opening: Opening, content: Content | undefined, signal: AbortSignal | undefined): Exchange {
    const id = this.#lastId + 1
    const message = openMessage(id, opening, content)
    if (message.length > maxMessageLength) throw new TypeError("the request's URL and headers are too long")
    this.#lastId = id
    const exchange = new Exchange(this.#environment, id, content?.source, signal, message, () => {
      if (this.#open[id] === exchange) {
        delete this.#open[id]
        this.#active--
      }
    })
    this.#open[id] = exchange
    this.#active++
    return exchange
  }

  receive(json: string): void {
    // The host is trusted with the shape of what it says.
    const message = parse(json) as HostMessage
    this.#open[message.id]?.receive(message)
  }

  reset(): void {
    const open = this.#open
    this.#open = none()
    this.#active = 0
    for (const id in open) {
      open[id]?.fail(this.#environment.makeError("AbortError", "the run that this fetch belonged to is over"))
    }
  }
}
