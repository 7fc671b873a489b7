/** HTTP written by hand, for what a client library would not send. */
import { Effect } from "effect"
import { connect } from "node:net"
import type { Json, TestHub } from "./testHub.ts"

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}

const parse = (text: string): RawAnswer => {
  const end = text.indexOf("\r\n\r\n")
  const [first = "", ...lines] = text.slice(0, end).split("\r\n")
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
  )
  const body = text.slice(end + 4)
  return { status: Number(first.split(" ")[1]), headers, body: body === "" ? undefined : JSON.parse(body) }
}

const whole = (text: string): boolean => {
  const end = text.indexOf("\r\n\r\n")
  const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0)
  return end !== -1 && Buffer.byteLength(text.slice(end + 4)) >= length
}

/** Sends chunks, each when the last one is written, until there is a whole answer; the request need never end. */
export const raw = (hub: Pick<TestHub, "url">, chunks: Iterable<string | Buffer>) =>
  Effect.promise(
    () =>
      new Promise<RawAnswer>((resolve, reject) => {
        const { hostname, port } = new URL(hub.url)
        const socket = connect(Number(port), hostname)
        let text = ""
        const done = (): void => {
          socket.destroy()
          if (whole(text)) resolve(parse(text))
          else reject(new Error(`no whole answer: ${JSON.stringify(text.slice(0, 500))}`))
        }
        const left = chunks[Symbol.iterator]()
        const send = (): void => {
          const next = left.next()
          if (next.done !== true && !socket.destroyed) socket.write(next.value, send)
        }
        socket.on("data", (chunk) => {
          text += chunk.toString()
          if (whole(text)) done()
        })
        socket.on("error", reject)
        socket.on("close", done)
        send()
      })
  )
