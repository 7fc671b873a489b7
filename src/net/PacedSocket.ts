/**
 * A connection whose bytes come in slices, when it is the plugin's turn: below TLS and HTTP, so that no server decides
 * how long their decoders keep the host's loop. What is not taken yet waits in the kernel, and then at the server.
 */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import type { RunTime } from "./HostTime.ts"
import type { FetchProblem } from "./problem.ts"

/** Bytes in a slice: in chunks of one byte they take a few milliseconds. */
const sliceBytes = 8 * 1024

export class PacedSocket extends Duplex {
  readonly #socket: Socket
  readonly #time: RunTime
  readonly #tooMuch: FetchProblem
  #bytesLeft: number
  #wanted = false
  #queued = false

  /** `maxBytes` is what the connection may bring in all; over it the connection ends with `tooMuch`. */
  constructor(socket: Socket, time: RunTime, maxBytes: number, tooMuch: FetchProblem) {
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
    // The next comes with the socket's "readable".
    if (!(chunk instanceof Buffer)) return
    this.#bytesLeft -= chunk.length
    if (this.#bytesLeft < 0) return void this.destroy(this.#tooMuch)
    this.#wanted = this.push(chunk)
    if (this.#socket.readableLength > 0) this.#queue()
  }
}
