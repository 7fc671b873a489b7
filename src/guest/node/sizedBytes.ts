/**
 * Bytes to hand to Node's own functions. Those read a view's sizes as properties and abort the whole process if native
 * code finds others, so plugins must not be able to answer for a prototype.
 */
import { apply, Bytes, typeNameOf } from "../shared/intrinsics.ts"

const { defineProperties } = Object
const { alloc, allocUnsafeSlow } = Buffer
const { set } = Uint8Array.prototype

type Getter = NonNullable<PropertyDescriptor["get"]>

/** A getter of a prototype; a plugin's own property of that name does not change what it returns. */
const getterOf = (prototype: object, name: PropertyKey): Getter =>
  Object.getOwnPropertyDescriptor(prototype, name)?.get ?? (() => undefined)

interface Getters {
  readonly buffer: Getter
  readonly byteOffset: Getter
  readonly byteLength: Getter
}
const gettersOf = (prototype: object): Getters => ({
  buffer: getterOf(prototype, "buffer"),
  byteOffset: getterOf(prototype, "byteOffset"),
  byteLength: getterOf(prototype, "byteLength")
})

const ofTypedArrays = gettersOf(Object.getPrototypeOf(Uint8Array.prototype))
const ofDataViews = gettersOf(DataView.prototype)

/** The bytes of a view, shared with it. */
export const bytesOf = (view: ArrayBufferView): Uint8Array => {
  const { buffer, byteOffset, byteLength } = typeNameOf(view) === undefined ? ofDataViews : ofTypedArrays
  return new Bytes(apply(buffer, view, []), apply(byteOffset, view, []), apply(byteLength, view, []))
}

export const lengthOf = (bytes: Uint8Array): number => apply(ofTypedArrays.byteLength, bytes, [])

/** Some of the bytes, shared with them. */
export const partOf = (bytes: Uint8Array, from: number, length: number): Uint8Array =>
  new Bytes(apply(ofTypedArrays.buffer, bytes, []), apply(ofTypedArrays.byteOffset, bytes, []) + from, length)

export const copyTo = (target: Uint8Array, source: Uint8Array, at: number): void => {
  apply(set, target, [source, at])
}

/** A cleared buffer for a plugin. Node's own `alloc`, whatever the plugin has made of it. */
export const allocate = (size: number): Buffer => alloc(size)

/** A descriptor without a prototype: a plugin could have put a `get` on the usual one. */
const constant = (value: number): PropertyDescriptor & { readonly __proto__: null } => ({
  __proto__: null,
  value
})

/** Makes what Node reads of a view its own properties. */
const sized = <View extends Uint8Array>(view: View, size: number): View =>
  defineProperties(view, {
    BYTES_PER_ELEMENT: constant(1),
    byteLength: constant(size),
    length: constant(size)
  })

/** Allocates bytes that plugins cannot reach. They are not from the pool, which the plugin's buffers share. */
export const allocateSized = (size: number): Buffer => sized(allocUnsafeSlow(size), size)

/** The bytes of a view, shared with it, in a view of their own that states its true size. */
export const sizedView = (view: ArrayBufferView): Uint8Array => {
  const bytes = bytesOf(view)
  return sized(bytes, lengthOf(bytes))
}
