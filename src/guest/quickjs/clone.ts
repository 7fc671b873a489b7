/** `structuredClone` for the types that ECMAScript defines. */

type Copies = Map<object, object>

const refuse = (value: unknown): never => {
  const what = typeof value === "function" ? value.name || "a function" : String(value)
  throw new DOMException(`${what} could not be cloned.`, "DataCloneError")
}

/** Records a copy before its members are copied, because a value may contain itself. */
const known = <Copy extends object>(copies: Copies, value: object, copy: Copy): Copy => {
  copies.set(value, copy)
  return copy
}

const cloneError = (error: Error, copies: Copies): Error => {
  const types = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]
  const Type = types.find(({ name }) => name === error.name) ?? Error
  const copy = known(copies, error, new Type(error.message))
  if ("cause" in error) copy.cause = clone(error.cause, copies)
  Object.defineProperty(copy, "stack", { value: error.stack, writable: true, configurable: true })
  return copy
}

const cloneView = (view: ArrayBufferView, copies: Copies): object => {
  const Type: unknown = view instanceof DataView ? DataView : Reflect.get(view, "constructor")
  const buffer = clone(view.buffer, copies)
  if (typeof Type !== "function") return refuse(view)
  const length: unknown = view instanceof DataView ? view.byteLength : Reflect.get(view, "length")
  return known(copies, view, Reflect.construct(Type, [buffer, view.byteOffset, length]))
}

const cloneObject = (value: object, copies: Copies): object => {
  if (value instanceof Date) return known(copies, value, new Date(value))
  if (value instanceof RegExp) return known(copies, value, new RegExp(value.source, value.flags))
  if (value instanceof ArrayBuffer) return known(copies, value, value.slice(0))
  if (ArrayBuffer.isView(value)) return cloneView(value, copies)
  if (value instanceof Error) return cloneError(value, copies)
  if (value instanceof Map) {
    const copy = known(copies, value, new Map())
    for (const [key, item] of value) copy.set(clone(key, copies), clone(item, copies))
    return copy
  }
  if (value instanceof Set) {
    const copy = known(copies, value, new Set())
    for (const item of value) copy.add(clone(item, copies))
    return copy
  }
  if (
    value instanceof Promise ||
    value instanceof WeakMap ||
    value instanceof WeakSet ||
    value instanceof WeakRef
  ) {
    return refuse(value)
  }
  const copy: object = known(copies, value, Array.isArray(value) ? Array.from({ length: value.length }) : {})
  for (const key of Object.keys(value)) {
    Object.defineProperty(copy, key, {
      value: clone(Reflect.get(value, key), copies),
      writable: true,
      enumerable: true,
      configurable: true
    })
  }
  return copy
}

const clone = (value: unknown, copies: Copies): unknown => {
  if (typeof value === "function" || typeof value === "symbol") return refuse(value)
  if (typeof value !== "object" || value === null) return value
  return copies.get(value) ?? cloneObject(value, copies)
}

export const structuredClone = (value: unknown): unknown => clone(value, new Map())
