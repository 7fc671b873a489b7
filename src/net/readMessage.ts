/** Reads a guest's messages to the broker. Every text that does not match a message exactly is rejected. */
import { Option, Schema } from "effect"
import { type GuestMessage, maxChunk, maxMessageLength } from "../wire/fetchMessages.ts"

const Id = Schema.Int.check(Schema.isGreaterThan(0))
const Token = Schema.String.check(Schema.isPattern(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/))
const HeaderValue = Schema.String.check(Schema.isPattern(/^[\t\u0020-\u007e\u0080-\u00ff]*$/))
const Base64 = Schema.String.check(
  Schema.isMaxLength(Math.ceil(maxChunk / 3) * 4),
  Schema.makeFilter((text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text))
)

const Message = Schema.Union([
  Schema.Struct({
    op: Schema.Literal("open"),
    id: Id,
    url: Schema.String,
    method: Token,
    headers: Schema.Array(Schema.Tuple([Token, HeaderValue])),
    hasBody: Schema.Boolean,
    length: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    redirect: Schema.Literals(["follow", "error", "manual"])
  }),
  Schema.Struct({ op: Schema.Literal("body"), id: Id, data: Base64 }),
  Schema.Struct({ op: Schema.Literals(["bodyEnd", "pull", "cancel"]), id: Id })
])

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Message), { onExcessProperty: "error" })

export const readMessage = (json: string): GuestMessage | undefined =>
  json.length > maxMessageLength ? undefined : Option.getOrUndefined(decode(json))
