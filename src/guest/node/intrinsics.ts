/** The functions of Node that the guest's own code uses, captured before any plugin code runs. */
import { types } from "node:util"
import { MessagePort, receiveMessageOnPort } from "node:worker_threads"
import realProcess from "node:process"
import type { ModuleFrame } from "../../wire/modules.ts"
import { apply, Bytes, copyOfBytes } from "../shared/intrinsics.ts"

export const waitFor = Atomics.wait
export const store = Atomics.store
export const takeMessage = receiveMessageOnPort
export const { isNativeError } = types

// Ends the isolate without the `exit` event. Read by name: Node's types lack it.
const reallyExit: unknown = Reflect.get(realProcess, "reallyExit")
const { postMessage, ref, start } = MessagePort.prototype
const { getActiveResourcesInfo, memoryUsage } = realProcess
const { rss } = memoryUsage
export const later = setImmediate

const { base64Slice, utf8Slice } = Buffer.prototype as Buffer & {
  // Not in Node's types. `toString` would look them up on a prototype that a plugin can patch.
  readonly base64Slice: (start: number, end: number) => string
  readonly utf8Slice: (start: number, end: number) => string
}
const { from: bufferFrom } = Buffer
const { slice } = Uint8Array.prototype
export const textIn = (bytes: Uint8Array, from: number, to: number): string =>
  apply(utf8Slice, bytes, [from, to])

export const toBase64 = (bytes: Uint8Array): string => apply(base64Slice, bytes, [0, bytes.length])
export const fromBase64 = (text: string): Uint8Array =>
  copyOfBytes(bufferFrom(text, "base64")) ?? new Bytes(0)

/** A frame of the loader. Its texts are decoded when they are needed. */
export const frameOf = (head: string, body: Uint8Array): ModuleFrame => ({
  head,
  text: (from, to) => apply(utf8Slice, body, [from, to]),
  bytes: (from, to) => apply(slice, body, [from, to])
})

/** Ends the isolate without an event that a plugin could handle. */
export const endNow = (code: number): void => {
  if (typeof reallyExit === "function") apply(reallyExit, realProcess, [code])
}
export const postTo = (
  port: MessagePort,
  message: unknown,
  transfer: ReadonlyArray<MessagePort> = []
): void => apply(postMessage, port, [message, transfer])
/** The resident memory of the process, in bytes. */
export const residentMemory = (): number => apply(rss, memoryUsage, [])
export const activeResources = (): number => apply(getActiveResourcesInfo, realProcess, []).length

/**
 * The property in which Node looks up the handler of a message. Set on the port itself, it overrides every
 * prototype.
 */
const dispatch = Symbol.for("nodejs.internal.kHybridDispatch")

/** Listens to a port such that a patched prototype cannot intercept messages. Keeps the isolate alive. */
export const listenTo = (port: MessagePort, handler: (message: unknown) => void): void => {
  if (process.versions.bun === undefined) Object.defineProperty(port, dispatch, { value: handler })
  // Bun does not look the handler up. Plugins are trusted there.
  else port.on("message", handler)
  apply(ref, port, [])
  apply(start, port, [])
}

/**
 * Freezes the handler look-up of all other ports. A plugin that patched it would receive the thread's internal
 * port, and could use that to make the host's own listeners throw.
 */
export const sealMessagePorts = (): void => {
  for (
    let proto: object | null = MessagePort.prototype;
    proto !== null;
    proto = Object.getPrototypeOf(proto)
  ) {
    const descriptor = Object.getOwnPropertyDescriptor(proto, dispatch)
    if (descriptor !== undefined) {
      Object.defineProperty(proto, dispatch, { ...descriptor, writable: false, configurable: false })
    }
    if (proto !== Object.prototype && proto !== EventTarget.prototype) Object.freeze(proto)
  }
}
