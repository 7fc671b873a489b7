/** What a request can be refused with. On the wire every one is `{error, code, details?}` and its `_tag`. */
import { Schema } from "effect"

const details = Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))

const fields = <const Code extends string>(code: Code) => ({
  error: Schema.String,
  code: Schema.tag(code),
  details
})

/** The request is not what the interface asks for; `details.issues` lists what is wrong and where. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("@agentlip/protocol/InvalidInput")(
  "INVALID_INPUT",
  fields("INVALID_INPUT"),
  { httpApiStatus: 400 }
) {}

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>(
  "@agentlip/protocol/PayloadTooLarge"
)("PAYLOAD_TOO_LARGE", fields("PAYLOAD_TOO_LARGE"), { httpApiStatus: 400 }) {}

export class CrossChannelMove extends Schema.TaggedError<CrossChannelMove>(
  "@agentlip/protocol/CrossChannelMove"
)("CROSS_CHANNEL_MOVE", fields("CROSS_CHANNEL_MOVE"), { httpApiStatus: 400 }) {}

export class MissingAuth extends Schema.TaggedError<MissingAuth>("@agentlip/protocol/MissingAuth")(
  "MISSING_AUTH",
  fields("MISSING_AUTH"),
  { httpApiStatus: 401 }
) {}

export class InvalidAuth extends Schema.TaggedError<InvalidAuth>("@agentlip/protocol/InvalidAuth")(
  "INVALID_AUTH",
  fields("INVALID_AUTH"),
  { httpApiStatus: 401 }
) {}

export class NotFound extends Schema.TaggedError<NotFound>("@agentlip/protocol/NotFound")(
  "NOT_FOUND",
  fields("NOT_FOUND"),
  { httpApiStatus: 404 }
) {}

/** `details.current` is the version the message has. */
export class VersionConflict extends Schema.TaggedError<VersionConflict>(
  "@agentlip/protocol/VersionConflict"
)(
  "VERSION_CONFLICT",
  { ...fields("VERSION_CONFLICT"), details: Schema.Struct({ current: Schema.Int }) },
  { httpApiStatus: 409 }
) {}

export const notFound = (what: string, id: string): NotFound =>
  new NotFound({ error: `There is no ${what} with the id ${JSON.stringify(id)}` })
