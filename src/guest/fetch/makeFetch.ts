/**
 * A plugin's `fetch`, the same on every isolation level. The host's broker makes the connections; this side
 * provides the Web's interface.
 */
import { CapturedPromise } from "./capturedBuiltIns.ts"
import { Content } from "./body.ts"
import { FetchLine } from "./FetchLine.ts"
import type { Broker } from "./OpenFetch.ts"
import { cut, indexOf } from "../shared/intrinsics.ts"
import { fromNetwork, Request, type RequestInit, type Response } from "./RequestResponse.ts"

const CapturedError = Error
const { defineProperty } = Object

/** Gives an error the stack frames of another error, so that it points at the plugin's line. */
const takeFrames = (error: unknown, from: Error): void => {
  if (!(error instanceof CapturedError)) return
  try {
    const { stack } = from
    if (typeof stack !== "string") return
    // A stack in V8 begins with the error's name; in QuickJS it begins with the frames.
    const framesAt = stack[0] === "E" ? indexOf(stack, "\n", 0) : -1
    const value = `${error.name}: ${error.message}\n${cut(stack, framesAt + 1)}`
    defineProperty(error, "stack", { value, writable: true, configurable: true })
  } catch {
    // The plugin has changed how stacks work: keep the error's own stack.
  }
}

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface GuestFetch {
  readonly fetch: Fetch
  /** Takes a message from the host's broker. */
  readonly receive: (json: string) => void
  /** Call this when a run begins or ends: it rejects requests that are still open, because their run is over. */
  readonly reset: () => void
  /** The number of open requests. After a run ends, these are the requests it left behind. */
  readonly active: () => number
}

export const makeFetch = (broker: Broker): GuestFetch => {
  const line = new FetchLine(broker)

  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init)
    const opened = line.open(request)
    // Errors come from the host, when the plugin's frames are no longer on the stack: capture them now.
    const here = new CapturedError("fetch")
    return new CapturedPromise((resolve, reject) => {
      opened.start(
        (head) => resolve(fromNetwork(head, new Content(opened.source))),
        (error) => {
          // An aborted request rejects with the signal's reason, which belongs to the plugin: leave its stack as it
          // is.
          if (!request.signal.aborted) takeFrames(error, here)
          reject(error)
        }
      )
    })
  }

  return {
    fetch,
    receive: (json) => line.receive(json),
    reset: () => line.reset(),
    active: () => line.active
  }
}
