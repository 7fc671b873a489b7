/**
 * A connection that delivers its bytes in slices, when it is the plugin's turn. It sits below TLS and HTTP, so that
 * no server decides how long their decoders occupy the host's event loop. Unread bytes wait in the kernel, then at
 * the server.
 */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import type { RunTime } from "./HostTime.ts"
import type { FetchProblem } from "./problem.ts"

/** Bytes per slice. Even as HTTP chunks of one byte each, a slice takes only a few milliseconds. */
const sliceBytes = 8 * 1024

interface PacedSocketOptions {
  readonly socket: Socket
  readonly time: RunTime
  /** The most bytes that the connection may receive, and the problem that it ends with if it receives more. */
  readonly maxBytes: number
  readonly tooMuch: FetchProblem
}

export class PacedSocket extends Duplex {
  readonly #socket: Socket
  readonly #time: RunTime
  readonly #tooMuch: FetchProblem
  #bytesLeft: number
  #wanted = false
  #queued = false

  constructor({ socket, time, maxBytes, tooMuch }: PacedSocketOptions) {
    super()
    this.#socket = socket
    this.#time = time
    this.#bytesLeft = maxBytes
    this.#tooMuch = tooMuch
    socket.on("readable", () => this.#queue())
    socket.once("end", () => this.push(null))
    socket.on("error", (error) => this.destroy(error))
    socket.once("close", () => {
      if (!socket.readableEnded) this.destroy()
    })
  }

  override _read(): void {
    this.#wanted = true
    this.#queue()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #queue(): void {
    if (this.#queued || !this.#wanted) return
    this.#queued = true
    this.#time.queue(
      () => {
        this.#queued = false
        if (!this.destroyed && this.#wanted) this.#take()
      },
      (error) => this.destroy(error)
    )
  }

  #take(): void {
    const chunk: unknown = this.#socket.read(Math.min(sliceBytes, this.#socket.readableLength) || undefined)
    // The socket's "readable" event brings the next chunk.
    if (!(chunk instanceof Buffer)) return
    this.#bytesLeft -= chunk.length
    if (this.#bytesLeft < 0) return void this.destroy(this.#tooMuch)
    this.#wanted = this.push(chunk)
    if (this.#socket.readableLength > 0) this.#queue()
  }
}
