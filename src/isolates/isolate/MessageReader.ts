/** Checks each message of a guest against the protocol, and says what it means for the isolate. */
import type { PluginTimeout } from "../../Errors.ts"
import { defaultLimits } from "../../Plugin.ts"
import { bodyLengthOf, bodyOf, isHello, leftoverOf, noTag, tagOf, typeOf } from "../../wire/codec.ts"
import { protocolVersion, ReplyType } from "../../wire/messages.ts"
import { MessageQueue } from "./MessageQueue.ts"
import type { GuestReply, PendingRequest, PendingRequests } from "./PendingRequests.ts"
import { isSideMessage, SideMessageReader, type SideMessageReaderOptions } from "./SideMessageReader.ts"

/** Characters of a reply that is no output: a description of what was thrown, escaped. */
const otherReplyLength = 128 * 1024

interface MessageReaderOptions extends SideMessageReaderOptions {
  readonly requests: PendingRequests
  /** Whether the isolate is being ended: nothing that it says counts any more. */
  readonly isOver: () => boolean
  /** The guest has booted. */
  readonly greeted: () => void
  /** The guest has replied to the first request. */
  readonly replied: (request: PendingRequest, reply: GuestReply) => void
  /** The guest says why it crashed; `isIdle` if it was working on no request. */
  readonly crashed: (reason: string, isIdle: boolean) => void
}

export class MessageReader {
  readonly #options: MessageReaderOptions
  readonly #queue = new MessageQueue((message) => this.#read(message))
  readonly #sideMessages: SideMessageReader
  #isGreeted = false

  constructor(options: MessageReaderOptions) {
    this.#options = options
    this.#sideMessages = new SideMessageReader(options)
  }

  /** What the load waited for when its guest had nothing else to do. */
  get waitsFor(): PluginTimeout["waitingFor"] {
    return this.#sideMessages.waitsFor
  }

  receive(message: unknown): void {
    this.#queue.put(message)
    const limit = this.#options.requests.first?.handler.limits.messageRate ?? defaultLimits.messageRate
    if (this.#queue.length > limit) {
      this.#options.violation(
        `more than ${limit} messages that the host has not read yet (limits.messageRate)`
      )
    }
  }

  /** The isolate is gone: reads what waits. */
  end(): void {
    this.#queue.end()
  }

  #read(message: unknown): void {
    const { isOver, requests, replied, violation } = this.#options
    if (isOver()) return
    if (typeof message !== "string") return violation(`a message that is not a text but ${typeof message}`)
    const type = typeOf(message)
    if (!this.#isGreeted) return this.#greet(type, message)
    const { first } = requests
    if (isSideMessage(type)) return this.#sideMessages.read(first, type, message)
    if (type === ReplyType.crashed) return this.#crashed(message)
    if (first === undefined || tagOf(message) !== first.tag) return violation("a reply to no request")
    const room = type === ReplyType.output ? first.handler.limits.outputLength : otherReplyLength
    if (bodyLengthOf(message) > room) return violation(`a reply of ${message.length} characters`)
    replied(first, { type, body: bodyOf(message), leftover: leftoverOf(message) })
  }

  #greet(type: string, message: string): void {
    if (type === ReplyType.log) return
    if (type === ReplyType.crashed) return this.#crashed(message)
    if (!isHello(message)) {
      return this.#options.violation(`its hello was not {"protocol":${protocolVersion}}`)
    }
    this.#isGreeted = true
    this.#options.greeted()
  }

  #crashed(message: string): void {
    this.#options.crashed(crashReason(bodyOf(message)), tagOf(message) === noTag)
  }
}

const crashReason = (body: string): string => {
  if (body.length > otherReplyLength) return "it crashed"
  try {
    const reason: unknown = JSON.parse(body)
    return typeof reason === "string" ? reason : "it crashed"
  } catch {
    return "it broke the protocol: the reason of a crash that is not JSON"
  }
}
