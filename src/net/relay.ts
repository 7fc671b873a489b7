/**
 * Sends a response's body to the guest. Each time the guest has room, it gets the bytes that are there, up to the
 * size of a message.
 */
import { Effect } from "effect"
import { finished, type Readable } from "node:stream"
import { type HostMessage, maxChunk } from "../wire/fetchMessages.ts"
import type { RunTime } from "./HostTime.ts"
import { codeOf, FetchProblem, problem } from "./problem.ts"

/** The guest's room for a chunk. */
export class Room {
  isFree = true
  onFree: () => void = () => {}

  /** The guest has read its chunk. */
  give(): void {
    this.isFree = true
    this.onFree()
  }
}

export interface Relay {
  readonly id: number
  readonly body: Readable
  readonly room: Room
  readonly time: RunTime
  readonly send: (message: HostMessage) => void
  /** The most bytes of the body, and the problem if there are more. */
  readonly maxBytes: number
  readonly tooMuch: FetchProblem
  /** The server, as `host:port`, for messages. */
  readonly target: string
}

/** Completes when the whole body has been sent to the guest. */
export const relay = ({ id, body, room, time, send, maxBytes, tooMuch, target }: Relay) =>
  Effect.callback<void, FetchProblem>((resume) => {
    let bytesLeft = maxBytes
    let queued = false
    const queue = (): void => {
      if (queued || !room.isFree) return
      queued = true
      // Small pieces that arrive while it waits are sent as one.
      time.queue(take, (error) => body.destroy(error))
    }
    const take = (): void => {
      queued = false
      if (body.destroyed) return
      const chunk: unknown = body.read(Math.min(maxChunk, body.readableLength) || undefined)
      // The "readable" event brings the next chunk, and "end" follows the last.
      if (!(chunk instanceof Buffer)) return
      bytesLeft -= chunk.length
      if (bytesLeft < 0) return resume(Effect.fail(tooMuch))
      // A stream reports its end only when it is read again.
      if (body.readableLength === 0) body.read(0)
      room.isFree = false
      send({ op: "chunk", id, data: chunk.toString("base64") })
    }
    const forget = finished(body, { writable: false }, (error) => {
      if (error === undefined || error === null) resume(Effect.void)
      else if (error instanceof FetchProblem) resume(Effect.fail(error))
      else resume(Effect.fail(problem(`the response of ${target} broke off (${codeOf(error)})`)))
    })
    room.onFree = queue
    body.on("readable", queue)
    queue()
    return Effect.sync(forget)
  })
