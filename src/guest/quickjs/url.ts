/** `URL`. The thread around QuickJS parses and formats URLs. */
import { quote } from "../shared/describe.ts"
import { parse } from "../shared/intrinsics.ts"
import { crossing, host } from "./host.ts"
import { linkedParams, refreshParams, type URLSearchParams } from "./searchParams.ts"

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

  #set(part: keyof Parts, value: unknown): void {
    const texts = `[${quote(this.#parts.href)},"${part}",${quote(`${value}`)}]`
    this.#parts = parse(host.setUrl(crossing(texts, what)))
  }

  #refresh(): void {
    if (this.#params !== undefined) refreshParams(this.#params, this.#parts.search)
  }

  get searchParams(): URLSearchParams {
    return (this.#params ??= linkedParams(this.search, () => {
      if (this.#params !== undefined) this.#set("search", this.#params.toString())
    }))
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
