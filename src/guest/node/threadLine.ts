/**
 * The line of an isolate's thread to its host: a private port, and a second port with a flag to wait on for
 * modules.
 */
import type { MessagePort } from "node:worker_threads"
import { stringify } from "../shared/intrinsics.ts"
import type { HostLine } from "../../wire/messages.ts"
import type { ModuleChannel, ModuleLine } from "../../wire/modules.ts"
import { frameOf, listenTo, postTo, store, takeMessage, waitFor } from "./intrinsics.ts"

/** The load request, with the channel for modules. It is the only message that is not a string. */
export interface WithModules {
  readonly text: string
  readonly modules: ModuleChannel
}

/** A frame as the host posts it. */
export interface PostedFrame {
  readonly head: string
  readonly body: Uint8Array<ArrayBuffer>
}

const openModules = ({ port, flag: shared }: ModuleChannel): ModuleLine => {
  const flag = new Int32Array(shared)
  return {
    ask: (request) => {
      store(flag, 0, 0)
      postTo(port, stringify(request))
      for (;;) {
        // Only the host posts to this port, so the message is trusted.
        const answer: { readonly message: PostedFrame } | undefined = takeMessage(port)
        if (answer !== undefined) return frameOf(answer.message.head, answer.message.body)
        waitFor(flag, 0, 0)
        store(flag, 0, 0)
      }
    }
  }
}

export const threadLine = (port: MessagePort): HostLine => {
  let modules: ModuleLine | undefined
  return {
    post: (text) => postTo(port, text),
    listen: (handler) =>
      listenTo(port, (message) => {
        if (typeof message === "string") return handler(message)
        // All messages of the host are strings except this one, which carries a port.
        const request = message as WithModules
        modules = openModules(request.modules)
        handler(request.text)
      }),
    modules: () => modules
  }
}
