/** The script of a thread's guest, with the code that V8 has compiled of it in the first thread. */
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import type { ThreadCode } from "../../../guest/node/loadThread.ts"
import { isHello } from "../../../wire/codec.ts"
import { bootFile } from "../../guestFiles.ts"

let known: ThreadCode | undefined

/** In a function: its variables must not become globals. */
const readCode = (): ThreadCode => {
  const file = fileURLToPath(bootFile("bootThread"))
  return { file, source: `(function () {${fs.readFileSync(file, "utf8")}\n})` }
}

export const threadCode = (): ThreadCode => (known ??= readCode())

/** Remembers what V8 has compiled for the threads that start from now on. */
export const keepCode = (compiled: Uint8Array): void => {
  known = { ...threadCode(), compiled }
}

type Receive = (message: unknown) => void

/**
 * Takes the compiled code from a thread that was started without it. Its hello is held back until then: the host sends no
 * plugin before it has the hello, so only the guest's own code can have sent this.
 */
export const takeCode = (receive: Receive, keep: (compiled: Uint8Array) => void): Receive => {
  let hello: string | undefined
  let isTaken = false
  return (message) => {
    if (isTaken) receive(message)
    else if (hello === undefined && typeof message === "string" && isHello(message)) hello = message
    else if (hello !== undefined && message instanceof Uint8Array) {
      isTaken = true
      keep(message)
      receive(hello)
    } else receive(message)
  }
}
