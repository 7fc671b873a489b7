/**
 * The built-ins that a guest's own code goes by, taken before any plugin code runs: what a plugin patches
 * afterwards it patches for itself only. ECMAScript alone: this runs in Node and in QuickJS.
 */
export const apply = Reflect.apply
export const ownKeys = Reflect.ownKeys
export const parse = JSON.parse
export const stringify = JSON.stringify
export const string = String

const { slice, startsWith: stringStartsWith } = String.prototype
const { includes: arrayIncludes } = Array.prototype

/** QuickJS has no way to tell; a Proxy's traps run there as any code of the plugin does. */
export const isProxy: (value: unknown) => boolean =
  globalThis.process === undefined ? () => false : process.getBuiltinModule("node:util").types.isProxy

export const cut = (text: string, from: number, to?: number): string => apply(slice, text, [from, to])
export const startsWith = (text: string, start: string): boolean => apply(stringStartsWith, text, [start])
export const includes = (list: ReadonlyArray<string>, item: string): boolean =>
  apply(arrayIncludes, list, [item])
// Itself a property that a plugin can set.
const globals = globalThis
export const globalKeys = (): number => ownKeys(globals).length
