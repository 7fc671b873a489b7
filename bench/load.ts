/**
 * Posts messages to a server: the same for the hub and for the baseline. It writes requests to sockets itself, because
 * a client library takes more processor time than the server that is measured.
 */
import { connect, type Socket } from "node:net"

export interface Target {
  readonly host: string
  readonly port: number
  readonly auth_token: string
  readonly topic: string
}

export interface Loaded {
  readonly perSecond: number
  /** Milliseconds of each post, from the request to its response. */
  readonly taken: ReadonlyArray<number>
}

export const contentOf = (number: number): string =>
  `message ${number}: see https://example.com/${number} and ask @ada about example.org/path`

const requestOf = ({ host, port, auth_token, topic }: Target, number: number): string => {
  const body = JSON.stringify({ topic_id: topic, sender: "bench", content_raw: contentOf(number) })
  return [
    "POST /api/v1/messages HTTP/1.1",
    `Host: ${host}:${port}`,
    `Authorization: Bearer ${auth_token}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body
  ].join("\r\n")
}

/** A connection that is kept. It has one request at a time. */
class Poster {
  readonly #socket: Socket
  #text = ""
  #resolve: (body: string) => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor({ host, port }: Target) {
    this.#socket = connect(port, host)
    this.#socket.setNoDelay(true)
    this.#socket.on("error", (error) => this.#reject(error))
    this.#socket.on("close", () => this.#reject(new Error("the server closed a connection")))
    this.#socket.on("data", (chunk) => this.#read(chunk.toString("latin1")))
  }

  post(request: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#reject = () => {}
    this.#socket.destroy()
  }

  #read(chunk: string): void {
    this.#text += chunk
    const head = this.#text.indexOf("\r\n\r\n")
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.#text)?.[1])
    if (this.#text.length < head + 4 + length) return
    const answer = this.#text
    this.#text = ""
    if (answer.startsWith("HTTP/1.1 2")) this.#resolve(answer.slice(head + 4))
    else this.#reject(new Error(answer))
  }
}

/** Posts so many messages as fast as the server takes them. */
export const postAll = async (target: Target, count: number, clients: number): Promise<Loaded> => {
  const posters = Array.from({ length: clients }, () => new Poster(target))
  const taken: Array<number> = []
  let started = 0
  const begin = performance.now()
  const work = async (poster: Poster): Promise<void> => {
    while (started < count) {
      const request = requestOf(target, started++)
      const at = performance.now()
      await poster.post(request)
      taken.push(performance.now() - at)
    }
  }
  try {
    await Promise.all(posters.map(work))
    return { perSecond: (count * 1_000) / (performance.now() - begin), taken }
  } finally {
    for (const poster of posters) poster.close()
  }
}

/**
 * Posts so many messages at a rate, whether those before have been answered or not. `posted` gets the time at which
 * each should have been sent, in milliseconds of `performance.now()`, and the body of its response.
 */
export const postPaced = async (
  target: Target,
  { count, perSecond }: { readonly count: number; readonly perSecond: number },
  posted: (due: number, body: string) => void
): Promise<void> => {
  const idle: Array<Poster> = []
  const all: Array<Poster> = []
  const open: Array<Promise<void>> = []
  const begin = performance.now()
  try {
    for (let number = 0; number < count; number++) {
      const due = begin + (number * 1_000) / perSecond
      while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1))
      const poster = idle.pop() ?? new Poster(target)
      if (!all.includes(poster)) all.push(poster)
      open.push(
        poster.post(requestOf(target, number)).then((body) => {
          idle.push(poster)
          posted(due, body)
        })
      )
    }
    await Promise.all(open)
  } finally {
    for (const poster of all) poster.close()
  }
}
