/**
 * The line of an isolate's thread to its host: a private port, and a second port with a flag to wait on for
 * modules.
 */
import type { MessagePort } from "node:worker_threads"
import { stringify } from "../shared/intrinsics.ts"
import type { HostLine } from "../../wire/messages.ts"
import type { LongText } from "../../wire/runInput.ts"
import type { ModuleChannel, ModuleLine } from "../../wire/modules.ts"
import { frameOf, listenTo, postTo, store, takeMessage, waitFor } from "./intrinsics.ts"

/** A run with long texts beside it. Any other message is a string. */
export interface Posted {
  readonly text: string
  readonly texts: ReadonlyArray<LongText>
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

export const threadLine = (port: MessagePort, channel: ModuleChannel): HostLine => {
  const opened = openModules(channel)
  let modules: ModuleLine | undefined
  return {
    post: (text) => postTo(port, text),
    listen: (handler) =>
      listenTo(port, (message) => {
        // The first message is the load request. From then on there is a plugin that may request modules.
        modules ??= opened
        if (typeof message === "string") return handler(message)
        // Only the host posts to this port, so the message is trusted.
        const { text, texts } = message as Posted
        handler(text, texts)
      }),
    modules: () => modules
  }
}
