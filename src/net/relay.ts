/** Hands a response's body on to the guest: as much as there is, up to a message's size, for each time it has room. */
import { Effect } from "effect"
import { finished, type Readable } from "node:stream"
import { type HostMessage, maxChunk } from "../wire/fetchMessages.ts"
import type { RunTime } from "./HostTime.ts"
import { codeOf, FetchProblem, problem } from "./problem.ts"

/** Whether the guest has room for a chunk. */
export class Room {
  #free = true
  #whenFree: () => void = () => {}

  get free(): boolean {
    return this.#free
  }

  take(): void {
    this.#free = false
  }

  give(): void {
    this.#free = true
    this.#whenFree()
  }

  onFree(listener: () => void): void {
    this.#whenFree = listener
  }
}

export interface Relay {
  readonly id: number
  readonly body: Readable
  readonly room: Room
  readonly time: RunTime
  readonly send: (message: HostMessage) => void
  /** The most bytes of the body, and what to say of more. */
  readonly maxBytes: number
  readonly tooMuch: FetchProblem
  /** Whose body it is, as `host:port`. */
  readonly target: string
}

/** Returns when the guest has been sent all of it. */
export const relay = ({ id, body, room, time, send, maxBytes, tooMuch, target }: Relay) =>
  Effect.callback<void, FetchProblem>((resume) => {
    let bytesLeft = maxBytes
    let queued = false
    const queue = (): void => {
      if (queued || !room.free) return
      queued = true
      // Small pieces that come while it waits go out as one.
      time.queue(take, (error) => body.destroy(error))
    }
    const take = (): void => {
      queued = false
      if (body.destroyed) return
      const chunk: unknown = body.read(Math.min(maxChunk, body.readableLength) || undefined)
      // The next comes with "readable"; after the last, "end" does.
      if (!(chunk instanceof Buffer)) return
      bytesLeft -= chunk.length
      if (bytesLeft < 0) return resume(Effect.fail(tooMuch))
      // One that has ended says so only when it is asked for more.
      if (body.readableLength === 0) body.read(0)
      room.take()
      send({ op: "chunk", id, data: chunk.toString("base64") })
    }
    const forget = finished(body, { writable: false }, (error) => {
      if (error === undefined || error === null) resume(Effect.void)
      else if (error instanceof FetchProblem) resume(Effect.fail(error))
      else resume(Effect.fail(problem(`the response of ${target} broke off (${codeOf(error)})`)))
    })
    room.onFree(queue)
    body.on("readable", queue)
    queue()
    return Effect.sync(forget)
  })
