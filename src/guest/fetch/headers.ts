/** The Web's `Headers`, limited to the members that plugins and their libraries use. */
import type { HeaderPair } from "../../wire/fetchMessages.ts"

export type HeadersInit = Headers | Iterable<readonly [string, string]> | { readonly [name: string]: string }

const namePattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/
const valuePattern = /^[\t\u0020-\u007e\u0080-\u00ff]*$/

const nameOf = (name: unknown): string => {
  const text = `${name}`
  if (!namePattern.test(text)) throw new TypeError(`"${text.slice(0, 100)}" is not a header name`)
  return text.toLowerCase()
}

const valueOf = (name: string, value: unknown): string => {
  const text = `${value}`.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "")
  if (!valuePattern.test(text))
    throw new TypeError(`the value of the header "${name}" has characters it cannot have`)
  return text
}

/** A `Headers`' names and values, as the wire carries them. */
export let pairsOf: (headers: Headers) => ReadonlyArray<HeaderPair>
/** Makes a `Headers` of names and values from the wire. */
export let fromPairs: (pairs: ReadonlyArray<HeaderPair>) => Headers

export class Headers {
  #pairs: Array<HeaderPair> = []

  static {
    pairsOf = (headers) => headers.#pairs
    fromPairs = (pairs) => {
      const headers = new Headers()
      headers.#pairs = [...pairs]
      return headers
    }
  }

  constructor(init?: HeadersInit | null) {
    if (init === undefined || init === null) return
    if (typeof init !== "object") throw new TypeError("headers are an object or a list of pairs")
    if (#pairs in init) this.#pairs = [...init.#pairs]
    else if (Symbol.iterator in init) {
      for (const [name, value] of init as Iterable<readonly [string, string]>) this.append(name, value)
    } else for (const [name, value] of Object.entries(init)) this.append(name, value)
  }

  append(name: string, value: string): void {
    const key = nameOf(name)
    this.#pairs.push([key, valueOf(key, value)])
  }

  set(name: string, value: string): void {
    const key = nameOf(name)
    const text = valueOf(key, value)
    this.delete(key)
    this.#pairs.push([key, text])
  }

  delete(name: string): void {
    const key = nameOf(name)
    this.#pairs = this.#pairs.filter(([other]) => other !== key)
  }

  get(name: string): string | null {
    const values = this.#valuesOf(nameOf(name))
    return values.length === 0 ? null : values.join(", ")
  }

  has(name: string): boolean {
    return this.#valuesOf(nameOf(name)).length > 0
  }

  getSetCookie(): Array<string> {
    return this.#valuesOf("set-cookie")
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    for (const [name, value] of this) Reflect.apply(callback, self, [value, name, this])
  }

  *entries(): IterableIterator<[string, string]> {
    const names = [...new Set(this.#pairs.map(([name]) => name))].sort()
    for (const name of names) {
      const values = this.#valuesOf(name)
      if (name !== "set-cookie") yield [name, values.join(", ")]
      else for (const value of values) yield [name, value]
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this) yield name
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this) yield value
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries()
  }

  get [Symbol.toStringTag](): string {
    return "Headers"
  }

  #valuesOf(key: string): Array<string> {
    return this.#pairs.filter(([name]) => name === key).map(([, value]) => value)
  }
}
