/** `URL`. The thread around QuickJS parses and formats URLs. */
import { quote } from "../shared/describe.ts"
import { parse } from "../shared/intrinsics.ts"
import { crossing } from "./crossing.ts"
import { host, urlParts } from "./host.ts"
import { linkedParams, refreshParams, type URLSearchParams } from "./searchParams.ts"

const what = "a URL"

type Part = (typeof urlParts)[number]
type Parts = { readonly [Name in Part]: string }

const partsOf = (input: unknown, base: unknown): Parts | undefined => {
  const texts = base === undefined ? quote(`${input}`) : `${quote(`${input}`)},${quote(`${base}`)}`
  const json = host.parseUrl(`[${crossing(texts, what)}]`)
  return json === undefined ? undefined : parse(json)
}

const validParts = (input: unknown, base?: unknown): Parts => {
  const parts = partsOf(input, base)
  if (parts !== undefined) return parts
  throw Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL", input: `${input}` })
}

export class URL {
  #parts: Parts
  #params: URLSearchParams | undefined

  static {
    for (const part of urlParts) {
      Object.defineProperty(this.prototype, part, {
        get(this: URL) {
          return this.#parts[part]
        },
        set(this: URL, value: unknown) {
          if (part === "href") this.#parts = validParts(value)
          else if (part !== "origin") this.#set(part, value)
          if (this.#params !== undefined && (part === "href" || part === "search"))
            refreshParams(this.#params, this.#parts.search)
        },
        enumerable: true,
        configurable: true
      })
    }
  }

  constructor(input: unknown, base?: unknown) {
    this.#parts = validParts(input, base)
  }

  static canParse(input: unknown, base?: unknown): boolean {
    return partsOf(input, base) !== undefined
  }

  static parse(input: unknown, base?: unknown): URL | null {
    return URL.canParse(input, base) ? new URL(input, base) : null
  }

  #set(part: Part, value: unknown): void {
    const texts = `[${quote(this.#parts.href)},"${part}",${quote(`${value}`)}]`
    this.#parts = parse(host.setUrl(crossing(texts, what)))
  }

  get searchParams(): URLSearchParams {
    return (this.#params ??= linkedParams(this.#parts.search, () => {
      if (this.#params !== undefined) this.#set("search", this.#params.toString())
    }))
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
