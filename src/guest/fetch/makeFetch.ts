/**
 * A plugin's `fetch`: the host's broker does the talking, this end turns it into what the Web knows. The same on
 * every isolation level.
 */
import { CapturedPromise, type FetchOptions, makeEnvironment } from "./capturedBuiltIns.ts"
import { Content, takeContent } from "./body.ts"
import { Headers, pairsOf } from "./headers.ts"
import { FetchLine } from "./FetchLine.ts"
import { cut, indexOf } from "../shared/intrinsics.ts"
import {
  makeMessages,
  type Request,
  type RequestConstructor,
  type RequestInit,
  type Response,
  type ResponseConstructor
} from "./RequestResponse.ts"

const CapturedError = Error
const { defineProperty } = Object

/** Gives an error the frames of another, so that it shows the line that it is about. */
const takeFrames = (error: unknown, from: Error): void => {
  if (!(error instanceof CapturedError)) return
  try {
    const { stack } = from
    if (typeof stack !== "string") return
    // V8 begins with the error, QuickJS with its frames.
    const framesAt = stack[0] === "E" ? indexOf(stack, "\n", 0) : -1
    const value = `${error.name}: ${error.message}\n${cut(stack, framesAt + 1)}`
    defineProperty(error, "stack", { value, writable: true, configurable: true })
  } catch {
    // A plugin has its own ideas of stacks: it keeps the one there is.
  }
}

export type { FetchOptions, Request, RequestInit, Response }

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface GuestFetch {
  readonly fetch: Fetch
  readonly Headers: typeof Headers
  readonly Request: RequestConstructor
  readonly Response: ResponseConstructor
  /** Takes a text of the host's broker. */
  readonly receive: (json: string) => void
  /** To be called where a run begins or ends: what is still open is of a run that is over, and rejects. */
  readonly reset: () => void
  /** How many requests are open: what a run that has ended left behind. */
  readonly active: () => number
}

/**
 * Makes a guest's `fetch`. Takes the built-ins it needs at once, so call it before any plugin code runs.
 */
export const makeFetch = (options: FetchOptions): GuestFetch => {
  const environment = makeEnvironment(options)
  const { Request, Response, fromNetwork } = makeMessages(environment)
  const line = new FetchLine(environment)

  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init)
    const content = takeContent(request)
    const exchange = line.open(
      {
        url: request.url,
        method: request.method,
        headers: pairsOf(request.headers),
        redirect: request.redirect
      },
      content,
      request.signal
    )
    // What rejects it comes from the host, when the plugin's own frames are long gone.
    const here = new CapturedError("fetch")
    return new CapturedPromise((resolve, reject) => {
      exchange.start(
        (head) => resolve(fromNetwork(head, new Content(exchange.source))),
        (error) => {
          // The reason of its own signal is the plugin's.
          if (request.signal?.aborted !== true) takeFrames(error, here)
          reject(error)
        }
      )
    })
  }

  return {
    fetch,
    Headers,
    Request,
    Response,
    receive: (json) => line.receive(json),
    reset: () => line.reset(),
    active: () => line.active
  }
}
