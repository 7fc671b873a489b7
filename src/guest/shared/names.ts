/** Names: lists of them, and those of environment variables. */
import { apply } from "./intrinsics.ts"

/** The words of a text, for long lists of names. */
export const names = (text: string): ReadonlyArray<string> => text.trim().split(/\s+/)

const { test } = RegExp.prototype
const variable = /^[A-Z][A-Z0-9_]{1,99}$/

/**
 * Whether a property that code reads of `process.env` is the name of an environment variable, unlike `toJSON`,
 * `then` and `constructor`.
 */
export const looksLikeVariable = (name: string): boolean => apply(test, variable, [name])
