/** Names of environment variables, told from what else is asked of `process.env`: `toJSON`, `then`, `constructor`. */
import { apply } from "./intrinsics.ts"

const { test } = RegExp.prototype
const variable = /^[A-Z][A-Z0-9_]{1,99}$/

export const looksLikeVariable = (name: string): boolean => apply(test, variable, [name])
