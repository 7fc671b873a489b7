/**
 * The built-ins that the guest's own code uses, captured before any plugin code runs, so that a plugin's patches
 * affect only the plugin. Only ECMAScript is required: this runs in Node and in QuickJS.
 */
import { apply } from "../../wire/intrinsics.ts"

export { apply, cut, indexOf } from "../../wire/intrinsics.ts"
export const { keys, getPrototypeOf: prototypeOf } = Object
const { toString } = Object.prototype
/** A value's tag, e.g. `[object Map]`. It identifies a class, even one that this engine does not have. */
export const tagOf = (value: unknown): string => apply(toString, value, [])
export const parse = JSON.parse
export const stringify = JSON.stringify
export const string = String
export const Bytes = Uint8Array

const { lastIndexOf: stringLastIndexOf, startsWith: stringStartsWith } = String.prototype
const { includes: arrayIncludes } = Array.prototype

/**
 * Whether a value is a Proxy. Node's guests use this to describe a Proxy without running its traps. QuickJS has no
 * such test: there a Proxy is described like any object. Its traps run inside the engine, under the run's deadline,
 * and the code that reads the properties catches what they throw.
 */
export const isProxy: (value: unknown) => boolean =
  globalThis.process === undefined ? () => false : process.getBuiltinModule("node:util").types.isProxy

export const lastIndexOf = (text: string, what: string): number => apply(stringLastIndexOf, text, [what])
export const startsWith = (text: string, start: string): boolean => apply(stringStartsWith, text, [start])
export const includes = (list: ReadonlyArray<string>, item: string): boolean =>
  apply(arrayIncludes, list, [item])
// Captured, because a plugin can overwrite the property `globalThis`.
const globals = globalThis
/**
 * The number of enumerable globals; assignments create such globals. Counting all globals takes ten times as long.
 */
export const globalKeys = (): number => keys(globals).length

/** Whether a value can have properties. */
export const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

const { get: typeName = () => undefined } =
  Object.getOwnPropertyDescriptor(prototypeOf(Bytes.prototype), Symbol.toStringTag) ?? {}
/** The name of a typed array's class; `undefined` for any other value. */
export const typeNameOf = (value: unknown): string | undefined => apply(typeName, value, [])

const { isView } = ArrayBuffer
const { ArrayBuffer: CapturedBuffer } = globals
/** A copy of the bytes of a buffer or view; `undefined` for any other value. */
export const copyOfBytes = (value: unknown): Uint8Array<ArrayBuffer> | undefined => {
  if (isView(value)) return new Bytes(new Bytes(value.buffer, value.byteOffset, value.byteLength))
  return value instanceof CapturedBuffer ? new Bytes(new Bytes(value)) : undefined
}
