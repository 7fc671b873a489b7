/** The script of a thread's guest, with the code that V8 has compiled of it in an earlier thread. */
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { cachedDataVersionTag } from "node:v8"
import type { ThreadCode } from "../../../guest/node/loadThread.ts"
import { isHello } from "../../../wire/codec.ts"
import { bootFile } from "../../guestFiles.ts"

let script: ThreadCode | undefined

let compiled: { readonly code: Uint8Array; readonly tag: number } | undefined

/** The script is wrapped in a function, so that its variables do not become globals. */
const readCode = (): ThreadCode => {
  const file = fileURLToPath(bootFile("bootThread"))
  return { file, source: `(function () {${fs.readFileSync(file, "utf8")}\n})` }
}

export const threadCode = (): ThreadCode => {
  script ??= readCode()
  // V8 rejects code that was compiled with other flags, and a host may change its flags at any time.
  if (compiled?.tag !== cachedDataVersionTag()) return script
  return { ...script, compiled: compiled.code }
}

/** Call this when a thread starts. Returns what keeps the code that the thread has compiled, for later threads. */
export const codeKeeper = (): ((code: Uint8Array) => void) => {
  const tag = cachedDataVersionTag()
  return (code) => {
    compiled = { code, tag }
  }
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
