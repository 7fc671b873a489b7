/**
 * Tells names of environment variables from other properties that code reads of `process.env`, such as `toJSON`,
 * `then` and `constructor`.
 */
import { apply } from "./intrinsics.ts"

const { test } = RegExp.prototype
const variable = /^[A-Z][A-Z0-9_]{1,99}$/

export const looksLikeVariable = (name: string): boolean => apply(test, variable, [name])
