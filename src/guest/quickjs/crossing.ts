/** The longest value that crosses between QuickJS and the thread around it, in UTF-16 units or bytes. */
const maxLength = 16 * 1024 * 1024

/** Returns a value that is about to cross. Throws if it is too long. */
export const crossing = <Value extends { readonly length: number }>(value: Value, what: string): Value => {
  if (value.length > maxLength)
    throw new RangeError(`${what} is too long for isolation "wasm" (over ${maxLength})`)
  return value
}
