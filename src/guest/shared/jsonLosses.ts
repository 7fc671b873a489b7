/**
 * Finds values in an output that JSON would silently change: NaN becomes null, a Map becomes {}. Such an output is
 * refused with the value's path. Members that are undefined or functions are left out, as JSON does.
 */
import { quote } from "./describe.ts"
import { apply, indexOf, keys, prototypeOf, tagOf } from "./intrinsics.ts"

const { isArray } = Array
const { test } = RegExp.prototype
const plainPrototype = Object.prototype

interface Step {
  readonly value: unknown
  readonly key: string | number
  readonly from: Step | undefined
  /** The next value in the list of values still to check. */
  next: Step | undefined
}

/** The most values to check. An output that JSON cannot write may be circular. */
const maxLooked = 100_000

const identifier = /^[A-Za-z_$][\w$]{0,60}$/

const pathOf = (step: Step): string => {
  let path = ""
  for (let at = step; at.from !== undefined; at = at.from) {
    const { key } = at
    const part =
      typeof key === "number" ? `[${key}]` : apply(test, identifier, [key]) ? `.${key}` : `[${quote(key)}]`
    path = part + path
  }
  return path[0] === "." ? apply(sliceOf, path, [1]) : path
}
const { slice: sliceOf } = String.prototype

/** An object's class as its tag or constructor names it, e.g. `Map`, `Promise`, `RegExp String Iterator`. */
const nameOf = (value: object): string => {
  const tag = apply(sliceOf, tagOf(value), [8, -1])
  if (tag !== "Object") return tag
  const constructor: unknown = Reflect.get(value, "constructor")
  const name: unknown = typeof constructor === "function" ? Reflect.get(constructor, "name") : undefined
  return typeof name === "string" && apply(test, identifier, [name]) ? name : "object"
}

const isIterator = (value: object): boolean =>
  typeof Reflect.get(value, "next") === "function" &&
  (Reflect.has(value, Symbol.iterator) || Reflect.has(value, Symbol.asyncIterator))

/**
 * What was expected and what to return instead, for an object that JSON would write as `{}`; `undefined` for plain
 * objects.
 */
const lostObject = (value: object): string | undefined => {
  const prototype = prototypeOf(value)
  if (prototype === plainPrototype || prototype === null || keys(value).length > 0) return undefined
  const name = nameOf(value)
  if (isIterator(value)) {
    return Reflect.has(value, Symbol.asyncIterator)
      ? `an array, got an async iterator (${name}); collect it first: await Array.fromAsync(…)`
      : `an array, got an iterator (${name}); add .toArray(), or spread it: [...…]`
  }
  if (name === "Promise") return "JSON, got a Promise; await it"
  if (name === "Map") return "JSON, got a Map; return Object.fromEntries(map)"
  if (name === "Set") return "JSON, got a Set; return [...set]"
  return `JSON, got an object of class ${name} without members`
}

/** The problem with a single value. In a list, JSON writes null for undefined, functions and symbols. */
const lost = (value: unknown, inList: boolean): string | undefined => {
  switch (typeof value) {
    case "number":
      return value - value === 0 ? undefined : `a finite number, got ${value}`
    case "bigint":
      return "JSON, which has no BigInt, got one; return a number or a text"
    case "undefined":
    case "function":
    case "symbol":
      return inList ? `JSON, got ${value === undefined ? "undefined" : `a ${typeof value}`}` : undefined
    default:
      return undefined
  }
}

export const findLoss = (output: unknown): string | undefined => {
  const root: Step = { value: output, key: "", from: undefined, next: undefined }
  let looked = 0
  for (let first: Step | undefined = root; first !== undefined && looked < maxLooked; looked++) {
    const step: Step = first
    first = step.next
    const { value } = step
    const isList = step.from !== undefined && isArray(step.from.value)
    let problem = lost(value, isList)
    if (typeof value === "object" && value !== null && typeof Reflect.get(value, "toJSON") !== "function") {
      if (isArray(value)) {
        // Pushed from the last to the first, so that the first is checked first.
        for (let at = value.length - 1; at >= 0; at--)
          first = { value: Reflect.get(value, at), key: at, from: step, next: first }
      } else {
        problem = lostObject(value)
        const names = keys(value)
        for (let at = names.length - 1; at >= 0; at--) {
          const key = names[at] ?? ""
          first = { value: Reflect.get(value, key), key, from: step, next: first }
        }
      }
    }
    if (problem !== undefined) {
      const path = pathOf(step)
      return `${path === "" ? "" : `${path}: `}expected ${problem}`
    }
  }
  return undefined
}

/** Like `findLoss`, but skips the search if the JSON has no `null` and no `{}`: then there is no loss. */
export const lossIn = (output: unknown, json: string): string | undefined =>
  indexOf(json, "null", 0) < 0 && indexOf(json, "{}", 0) < 0 ? undefined : findLoss(output)
