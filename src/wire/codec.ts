/**
 * Encodes and decodes every text between host and guest. No other file knows the layout.
 *
 * A text is `<type><tag><body>`. The type is one character. The tag binds a reply to its request: a secret that the
 * host draws for each isolate, then the number of the request. A reply to a run has a `Leftover` mark before its body.
 * A plugin can only reach the body: it never writes type, tag or mark.
 */
import { cut, indexOf } from "./intrinsics.ts"
import { Leftover, protocolVersion, ReplyType, RequestType } from "./messages.ts"

/** Characters of an isolate's secret: 132 random bits in base64url. */
export const secretLength = 22

/** Requests are numbered from here, so that each number has ten digits. */
const firstNumber = 1_000_000_000
const tagLength = secretLength + 10

/** The tag of messages that belong to no request. */
export const noTag = "-".repeat(tagLength)

/** The tag of an isolate's request `number`, counted from 0. */
export const makeTag = (secret: string, number: number): string => secret + String(firstNumber + number)

const bodyAt = 1 + tagLength

/** Characters of a W3C trace context; it may stand before a run's input, which starts with a brace. */
const traceparentLength = 55

/** Separates requests that are sent as one text. JSON contains no raw line feed. */
const separator = "\n"

/** The type of any text: its first character. */
export const typeOf = (text: string): string => text[0] ?? ""

/** The tag of any text. */
export const tagOf = (text: string): string => cut(text, 1, bodyAt)

// From host to guest

export const encodeLoad = (tag: string, body: string): string => RequestType.load + tag + body

export const encodeRun = (tag: string, traceparent: string | undefined, input: string): string =>
  RequestType.run + tag + (traceparent ?? "") + input

export const encodeAbort = (): string => RequestType.abort

/** `json` comes from the network broker. */
export const encodeNetAnswer = (json: string): string => RequestType.net + json

export const decodeNetAnswer = (text: string): string => cut(text, 1)

/** The JSON of a `LoadRequest`. */
export const decodeLoad = (text: string): string => cut(text, bodyAt)

/** The trace context, if there is one, and the input's JSON. */
export const decodeRun = (
  text: string
): { readonly traceparent: string | undefined; readonly input: string } => {
  if (text[bodyAt] === "{") return { traceparent: undefined, input: cut(text, bodyAt) }
  const inputAt = bodyAt + traceparentLength
  return { traceparent: cut(text, bodyAt, inputAt), input: cut(text, inputAt) }
}

/** Appends a request to others that go out as one text. */
export const joinRequests = (texts: string, next: string): string => texts + separator + next

/** Calls `take` with each request of a text. */
export const eachRequest = (texts: string, take: (text: string) => void): void => {
  let start = 0
  for (let end = indexOf(texts, separator, 0); end >= 0; end = indexOf(texts, separator, start)) {
    take(cut(texts, start, end))
    start = end + 1
  }
  take(start === 0 ? texts : cut(texts, start))
}

// From guest to host

/** Whether replies of this type end a run; those carry a `Leftover` mark. */
export const endsRun = (type: string): boolean =>
  type === ReplyType.output || type === ReplyType.thrown || type === ReplyType.uncrossable

/** A reply or a side message that does not end a run. */
export const encodeReply = (type: string, tag: string, body: string): string => type + tag + body

/** A reply that ends a run. */
export const encodeEnd = (type: string, tag: string, leftover: string, body: string): string =>
  type + tag + leftover + body

const hello = ReplyType.hello + noTag + `{"protocol":${protocolVersion}}`

export const encodeHello = (): string => hello

export const isHello = (text: string): boolean => text === hello

/** The `Leftover` mark of a reply; `Leftover.none` if the reply does not end a run. */
export const leftoverOf = (text: string): string =>
  endsRun(typeOf(text)) ? (text[bodyAt] ?? Leftover.none) : Leftover.none

const replyBodyAt = (type: string): number => (endsRun(type) ? bodyAt + 1 : bodyAt)

/** Characters of a reply's body. */
export const bodyLengthOf = (text: string): number => text.length - replyBodyAt(typeOf(text))

/** The body of any reply or side message: JSON, not parsed. */
export const bodyOf = (text: string): string => cut(text, replyBodyAt(typeOf(text)))

/** The same reply with another body. */
export const withBody = (text: string, body: string): string => cut(text, 0, replyBodyAt(typeOf(text))) + body

/** The same reply with another tag. */
export const withTag = (text: string, tag: string): string => typeOf(text) + tag + cut(text, bodyAt)

/** The same reply to a run, with nothing left behind. */
export const withoutLeftover = (text: string): string =>
  text[bodyAt] === Leftover.none ? text : cut(text, 0, bodyAt) + Leftover.none + cut(text, bodyAt + 1)
