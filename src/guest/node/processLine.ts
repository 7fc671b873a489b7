/**
 * The line of an isolate's process to its host: messages that end in a line feed, on separate file descriptors.
 * Writes block, so that a reply is sent before plugin code can interfere. Module requests use blocking reads.
 */
import { readSync, writeSync } from "node:fs"
import { Socket } from "node:net"
import { apply, parse, stringify } from "../shared/intrinsics.ts"
import type { HostLine } from "../../wire/messages.ts"
import type { FrameHead, ModuleFrame, ModuleLine } from "../../wire/modules.ts"
import { endNow, frameOf, textIn } from "./intrinsics.ts"
import { allocateSized } from "./sizedBytes.ts"

/** File descriptors, as the host assigns them (isolates/levels/process/startProcess.ts). */
const fromHost = 3
const toHost = 4
const modulesLine = 5

const lineFeed = 10
const { indexOf, copy } = Buffer.prototype
const endOfLine = (bytes: Buffer, from: number, to: number): number => {
  const at: number = apply(indexOf, bytes, [lineFeed, from])
  return at < to ? at : -1
}

/** Received bytes that are not used yet. */
class Pending {
  #bytes: Buffer = allocateSized(64 * 1024)
  #from = 0
  #to = 0
  /** Up to here there is no line feed, so that a long line is searched only once. */
  #seen = 0

  add(bytes: Buffer, length: number): void {
    if (this.#to + length > this.#bytes.length) {
      const kept = this.#to - this.#from
      const roomy = this.#bytes.length >= 2 * (kept + length)
      const next = roomy ? this.#bytes : allocateSized(4 * (kept + length))
      apply(copy, this.#bytes, [next, 0, this.#from, this.#to])
      this.#bytes = next
      this.#seen -= this.#from
      this.#from = 0
      this.#to = kept
    }
    apply(copy, bytes, [this.#bytes, this.#to, 0, length])
    this.#to += length
  }

  line(): string | undefined {
    const end = endOfLine(this.#bytes, this.#seen, this.#to)
    if (end < 0) {
      this.#seen = this.#to
      return undefined
    }
    const text = textIn(this.#bytes, this.#from, end)
    this.#from = this.#seen = end + 1
    return text
  }

  /** A copy of the next `count` bytes; `undefined` until all of them have arrived. */
  take(count: number): Buffer | undefined {
    if (this.#to - this.#from < count) return undefined
    const bytes = allocateSized(count)
    apply(copy, this.#bytes, [bytes, 0, this.#from, this.#from + count])
    this.#from = this.#seen = this.#from + count
    return bytes
  }
}

const makeModules = (): ModuleLine => {
  const pending = new Pending()
  const chunk = allocateSized(64 * 1024)
  const until = <A>(take: () => A | undefined): A => {
    for (;;) {
      const taken = take()
      if (taken !== undefined) return taken
      const length = readSync(modulesLine, chunk)
      // The host is gone, so the process ends.
      if (length === 0) endNow(1)
      pending.add(chunk, length)
    }
  }
  return {
    ask: (request): ModuleFrame => {
      writeSync(modulesLine, `${stringify(request)}\n`)
      const head = until(() => pending.line())
      const body = until(() => pending.take(lengthOf(parse(head))))
      return frameOf(head, body)
    }
  }
}

/** The number of bytes that follow a head. */
const lengthOf = (head: FrameHead): number => {
  if ("error" in head) return 0
  let length = 0
  for (let at = 0; at < head.modules.length; at++) length += head.modules[at]?.[2] ?? 0
  return length
}

export const processLine = (): HostLine => {
  let modules: ModuleLine | undefined
  return {
    post: (text) => {
      writeSync(toHost, `${text}\n`)
    },
    listen: (handler) => {
      const pending = new Pending()
      const buffer = allocateSized(64 * 1024)
      const socket = new Socket({
        fd: fromHost,
        readable: true,
        writable: false,
        onread: {
          buffer,
          callback: (length) => {
            pending.add(buffer, length)
            for (let text = pending.line(); text !== undefined; text = pending.line()) {
              // The first message is the load request. From then on there is a plugin that may request modules.
              modules ??= makeModules()
              handler(text)
            }
            return true
          }
        }
      })
      // Node reads this for every chunk, otherwise from a prototype that a plugin could patch.
      Object.defineProperty(socket, "destroyed", { value: false })
      // The host is gone, so the process ends.
      const end = (): void => endNow(1)
      socket.on("end", end).on("error", end).on("close", end)
    },
    modules: () => modules
  }
}
