/**
 * String functions that host and guest use on the wire, captured before any plugin code runs: a plugin that patches
 * them later changes nothing here. Plain ECMAScript: this runs in Node and in QuickJS.
 */
export const apply = Reflect.apply

const { indexOf: stringIndexOf, slice } = String.prototype

export const cut = (text: string, from: number, to?: number): string => apply(slice, text, [from, to])
export const indexOf = (text: string, what: string, from: number): number =>
  apply(stringIndexOf, text, [what, from])
