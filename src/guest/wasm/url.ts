/** `URL` and `URLSearchParams`; URLs are taken apart and put together by the thread around. */
import { quote } from "../describe.ts"
import { parse, stringify } from "../intrinsics.ts"
import { crossing, host } from "./host.ts"

const what = "a URL"

/** In the order in which the thread sends them (hostFunctions.ts). */
interface Parts {
  readonly href: string
  readonly origin: string
  readonly protocol: string
  readonly username: string
  readonly password: string
  readonly host: string
  readonly hostname: string
  readonly port: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
}

const partsOf = (input: unknown, base: unknown): Parts | undefined => {
  const texts = base === undefined ? quote(`${input}`) : `${quote(`${input}`)},${quote(`${base}`)}`
  const json = host.parseUrl(`[${crossing(texts, what)}]`)
  return json === undefined ? undefined : parse(json)
}

type Pair = [name: string, value: string]

export class URLSearchParams {
  #pairs: Array<Pair>
  /** The URL that these are of. */
  #url: URL | undefined

  constructor(init?: unknown) {
    this.#pairs = []
    if (init === undefined || init === null) return
    if (typeof init !== "object" && typeof init !== "function") {
      this.#pairs = URLSearchParams.#parsed(`${init}`)
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

  static #parsed(text: string): Array<Pair> {
    return parse(host.parseQuery(quote(crossing(text, what))))
  }

  static of(url: URL): URLSearchParams {
    const params = new URLSearchParams(url.search)
    params.#url = url
    return params
  }

  /** The URL was changed by other means. */
  static refresh(params: URLSearchParams, search: string): void {
    params.#pairs = URLSearchParams.#parsed(search)
  }

  #changed(): void {
    if (this.#url !== undefined) URL.setSearch(this.#url, this.toString())
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
    return parse(host.formatQuery(crossing(`${pairs}`, what)))
  }
}

export class URL {
  #parts: Parts
  #params: URLSearchParams | undefined

  constructor(input: unknown, base?: unknown) {
    const parts = partsOf(input, base)
    if (parts === undefined) {
      throw Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL", input: `${input}` })
    }
    this.#parts = parts
  }

  static canParse(input: unknown, base?: unknown): boolean {
    return partsOf(input, base) !== undefined
  }

  static parse(input: unknown, base?: unknown): URL | null {
    return URL.canParse(input, base) ? new URL(input, base) : null
  }

  static setSearch(url: URL, search: string): void {
    url.#set("search", search)
  }

  #set(part: keyof Parts, value: unknown): void {
    const texts = `[${quote(this.#parts.href)},"${part}",${quote(`${value}`)}]`
    this.#parts = parse(host.setUrl(crossing(texts, what)))
  }

  #refresh(): void {
    if (this.#params !== undefined) URLSearchParams.refresh(this.#params, this.#parts.search)
  }

  get searchParams(): URLSearchParams {
    return (this.#params ??= URLSearchParams.of(this))
  }

  get href(): string {
    return this.#parts.href
  }
  set href(value: string) {
    const parts = partsOf(value, undefined)
    if (parts === undefined) throw new TypeError("Invalid URL")
    this.#parts = parts
    this.#refresh()
  }

  get origin(): string {
    return this.#parts.origin
  }

  get protocol(): string {
    return this.#parts.protocol
  }
  set protocol(value: string) {
    this.#set("protocol", value)
  }

  get username(): string {
    return this.#parts.username
  }
  set username(value: string) {
    this.#set("username", value)
  }

  get password(): string {
    return this.#parts.password
  }
  set password(value: string) {
    this.#set("password", value)
  }

  get host(): string {
    return this.#parts.host
  }
  set host(value: string) {
    this.#set("host", value)
  }

  get hostname(): string {
    return this.#parts.hostname
  }
  set hostname(value: string) {
    this.#set("hostname", value)
  }

  get port(): string {
    return this.#parts.port
  }
  set port(value: string) {
    this.#set("port", value)
  }

  get pathname(): string {
    return this.#parts.pathname
  }
  set pathname(value: string) {
    this.#set("pathname", value)
  }

  get search(): string {
    return this.#parts.search
  }
  set search(value: string) {
    this.#set("search", value)
    this.#refresh()
  }

  get hash(): string {
    return this.#parts.hash
  }
  set hash(value: string) {
    this.#set("hash", value)
  }

  get [Symbol.toStringTag](): string {
    return "URL"
  }

  toString(): string {
    return this.#parts.href
  }

  toJSON(): string {
    return this.#parts.href
  }
}
