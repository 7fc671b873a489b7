/**
 * The built-ins that a guest's own code goes by, taken before any plugin code runs: what a plugin patches
 * afterwards it patches for itself only. ECMAScript alone: this runs in Node and in QuickJS.
 */
import { apply } from "../../wire/intrinsics.ts"

export { apply, cut, indexOf } from "../../wire/intrinsics.ts"
export const { keys, getPrototypeOf: prototypeOf } = Object
const { toString } = Object.prototype
/** `[object Map]` */
export const tagOf = (value: object): string => apply(toString, value, [])
export const parse = JSON.parse
export const stringify = JSON.stringify
export const string = String

const { lastIndexOf: stringLastIndexOf, startsWith: stringStartsWith } = String.prototype
const { includes: arrayIncludes } = Array.prototype

/**
 * Whether a value is a Proxy, so that Node's guests can describe one without running its traps. QuickJS offers no
 * such test to anybody: there a Proxy is described like any object, its traps run inside the engine and under
 * the run's deadline, and what they throw is caught where they are read.
 */
export const isProxy: (value: unknown) => boolean =
  globalThis.process === undefined ? () => false : process.getBuiltinModule("node:util").types.isProxy

export const lastIndexOf = (text: string, what: string): number => apply(stringLastIndexOf, text, [what])
export const startsWith = (text: string, start: string): boolean => apply(stringStartsWith, text, [start])
export const includes = (list: ReadonlyArray<string>, item: string): boolean =>
  apply(arrayIncludes, list, [item])
// Itself a property that a plugin can set.
const globals = globalThis
/** Globals that can be enumerated, as those are that an assignment makes: to count all takes ten times as long. */
export const globalKeys = (): number => keys(globals).length
