/** `URLSearchParams`. The thread around QuickJS parses and formats queries. */
import { quote } from "../shared/describe.ts"
import { parse, stringify } from "../shared/intrinsics.ts"
import { crossing } from "./crossing.ts"
import { host } from "./host.ts"

type Pair = [name: string, value: string]

const parsed = (text: string): Array<Pair> => parse(host.parseQuery(quote(crossing(text, "a query"))))

/** Makes the parameters of a URL. `changed` is called after each change. */
export let linkedParams: (search: string, changed: () => void) => URLSearchParams
/** Updates the parameters after the URL's query was set directly. */
export let refreshParams: (params: URLSearchParams, search: string) => void

export class URLSearchParams {
  #pairs: Array<Pair>
  /** Informs the URL that owns these parameters. */
  #changed: () => void = () => {}

  static {
    linkedParams = (search, changed) => {
      const params = new URLSearchParams(search)
      params.#changed = changed
      return params
    }
    refreshParams = (params, search) => {
      params.#pairs = parsed(search)
    }
  }

  constructor(init?: unknown) {
    this.#pairs = []
    if (init === undefined || init === null) return
    if (typeof init !== "object" && typeof init !== "function") {
      this.#pairs = parsed(`${init}`)
      return
    }
    const entries: Iterable<unknown> =
      typeof Reflect.get(init, Symbol.iterator) === "function"
        ? (init as Iterable<unknown>)
        : Object.entries(init)
    for (const entry of entries) {
      const pair = [...(entry as Iterable<unknown>)]
      if (pair.length !== 2) throw new TypeError("each query pair must be a name and a value")
      this.#pairs.push([`${pair[0]}`, `${pair[1]}`])
    }
  }

  get size(): number {
    return this.#pairs.length
  }

  append(name: unknown, value: unknown): void {
    this.#pairs.push([`${name}`, `${value}`])
    this.#changed()
  }

  delete(name: unknown, value?: unknown): void {
    this.#pairs = this.#pairs.filter(
      (pair) => pair[0] !== `${name}` || (value !== undefined && pair[1] !== `${value}`)
    )
    this.#changed()
  }

  get(name: unknown): string | null {
    return this.#pairs.find((pair) => pair[0] === `${name}`)?.[1] ?? null
  }

  getAll(name: unknown): Array<string> {
    return this.#pairs.filter((pair) => pair[0] === `${name}`).map((pair) => pair[1])
  }

  has(name: unknown, value?: unknown): boolean {
    return this.#pairs.some(
      (pair) => pair[0] === `${name}` && (value === undefined || pair[1] === `${value}`)
    )
  }

  set(name: unknown, value: unknown): void {
    const first = this.#pairs.find((pair) => pair[0] === `${name}`)
    if (first === undefined) this.#pairs.push([`${name}`, `${value}`])
    else {
      first[1] = `${value}`
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== first[0])
    }
    this.#changed()
  }

  sort(): void {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    this.#changed()
  }

  forEach(callback: (value: string, name: string, params: URLSearchParams) => unknown, self?: unknown): void {
    for (const [name, value] of this) Reflect.apply(callback, self, [value, name, this])
  }

  *entries(): IterableIterator<Pair> {
    for (const [name, value] of this.#pairs) yield [name, value]
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.#pairs) yield name
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.#pairs) yield value
  }

  [Symbol.iterator](): IterableIterator<Pair> {
    return this.entries()
  }

  get [Symbol.toStringTag](): string {
    return "URLSearchParams"
  }

  toString(): string {
    const pairs: unknown = stringify(this.#pairs)
    return parse(host.formatQuery(crossing(`${pairs}`, "a query")))
  }
}
