/**
 * Finds the URLs of a message, for the URL linkifier and the URL extractor alike.
 *
 * Details: `http:`, `https:` and `ftp:` URLs, and domains without a scheme (`example.com/docs`), which are
 * read as `https:`. Inline code is searched, because that is how people and agents quote an address; fenced
 * blocks are not, because what is in them is program text or a log.
 *
 * Gotchas: a domain without a scheme is found by its top-level domain; names that look like a file or a
 * property (`README.md`, `user.name`), a call (`logger.info(`) or a missing space (`done.It`) are left alone.
 * One with a port needs its scheme. URLs with credentials (`https://user:secret@host`) and URLs longer than
 * 2,048 characters are not reported at all.
 */
import { LinkifyIt } from "linkify-it"
import { blank, codeRegions } from "./markdown.ts"

/** A URL of a message: where it stands (UTF-16 units, `end` exclusive) and what it means. */
export interface FoundUrl {
  readonly start: number
  readonly end: number
  /** Normalised: the same for all spellings of one address. */
  readonly url: string
  /** Host and port, in ASCII (`xn--…` for international domains). */
  readonly host: string
}

/** The longest URL that is reported, as written and as normalised. */
export const maxUrlLength = 2_048

// linkify-it knows the two-letter and the oldest ones.
const moreTopLevelDomains =
  "academy agency app blog cloud dev online space studio tech wiki world xyz укр бел срб қаз ею ελ 한국 中国 中國 台湾 台灣 香港 ไทย भारत امارات السعودية مصر ایران قطر"

const linkify = new LinkifyIt({ fuzzyLink: true, fuzzyEmail: true, urlAuth: true, maxLength: maxUrlLength })
  .tlds(moreTopLevelDomains.split(" "), true)
  // `//example.com` in chat is a comment more often than an address.
  .add("//", null)

/**
 * What is part of the markup, not of an address: backticks, marks of writing direction, and the emphasis of
 * `_https://example.com_` and `~~https://example.com~~`.
 */
const markup =
  /[`\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|(?<![^\s(*_~>])(?:_+|~~)(?=(?:https?|ftp):\/\/)|(?:(?<!_)_+|~~)(?![^\s).,;:!?*_~<])/gi

const searchable = (text: string): string =>
  blank(
    text,
    codeRegions(text).filter(({ fenced }) => fenced)
  ).replace(markup, (found) => " ".repeat(found.length))

const trailing = new Set("?!.,:;*_~'\"|")

/** Without the punctuation and emphasis that end a sentence, not an address. */
const trimmedEnd = (text: string, start: number, end: number): number => {
  let trimmed = end
  while (trimmed > start && trailing.has(text.charAt(trimmed - 1))) trimmed--
  return trimmed
}

const fileOrProperty = /^[^.]+\.(?:cc|md|mk|ml|name|pl|ps|py|rs|sh|tf)$/i
const missingSpace = /\.[A-Z][a-z]$/

/** Whether what is written without a scheme, between these characters, is more likely something else. */
const isDoubtful = (before: string, domain: string, after: string): boolean =>
  before === "\\" ||
  after === "@" ||
  after === "(" ||
  fileOrProperty.test(domain) ||
  missingSpace.test(domain)

const authority = /^[a-z]+:\/\/([^\s/?#]*)/i

/** Whether what is written at `start`, maybe beyond the part that was recognised, has credentials. */
const hasCredentials = (text: string, start: number): boolean =>
  authority.exec(text.slice(start, start + maxUrlLength))?.[1]?.includes("@") === true

const normalised = (address: string): URL | null => {
  const url = URL.parse(address)
  if (url === null) return null
  // Assigning an empty query or fragment drops its mark.
  if (url.search === "") url.search = ""
  if (url.hash === "") url.hash = ""
  return url
}

const endOfRun = (text: string, from: number): number => {
  const space = /\s/g
  space.lastIndex = from
  return space.exec(text)?.index ?? text.length
}

/** Every URL of a text, in order. */
export function* findUrls(text: string): Generator<FoundUrl> {
  const searched = searchable(text)
  // What looks like a URL in the rest of one that is too long is a part of it.
  let tooLongUntil = 0
  for (const { schema, index: start, lastIndex } of linkify.match(searched) ?? []) {
    if (schema === "mailto:" || start < tooLongUntil) continue
    const end = trimmedEnd(searched, start, lastIndex)
    const written = text.slice(start, end)
    if (written.length > maxUrlLength) {
      tooLongUntil = endOfRun(searched, end)
      continue
    }
    const refused =
      schema === ""
        ? isDoubtful(text.charAt(start - 1), written, text.charAt(end))
        : hasCredentials(text, start)
    const url = refused ? null : normalised(schema === "" ? `https://${written}` : written)
    if (url !== null && url.href.length <= maxUrlLength) yield { start, end, url: url.href, host: url.host }
  }
}
