/**
 * Every error that a hub returns. On the wire each one is `{error, code, details?}` and its `_tag`.
 *
 * `errors` declares each code once, with its status. The classes, the OpenAPI document and the hub's responses all
 * come from it.
 */
import { Schema } from "effect"

/** The status and the meaning of each code. */
export const errors = {
  INVALID_INPUT: { status: 400, description: "The request is invalid. `details.issues` names each field." },
  PAYLOAD_TOO_LARGE: {
    status: 400,
    description: "A message over 64 KiB, an attachment over 16 KiB, or a body over 1 MiB."
  },
  CROSS_CHANNEL_MOVE: { status: 400, description: "A message can move within its channel only." },
  MISSING_AUTH: { status: 401, description: "The request needs the hub's token and has none." },
  INVALID_AUTH: { status: 401, description: "The token is not the hub's." },
  FORBIDDEN: {
    status: 403,
    description: "The `Host`, `Origin` or `Sec-Fetch-Site` is that of another machine or site."
  },
  NOT_FOUND: { status: 404, description: "Nothing has this path or id." },
  METHOD_NOT_ALLOWED: {
    status: 405,
    description: "The path does not support the method. The header `Allow` lists those that it supports."
  },
  VERSION_CONFLICT: {
    status: 409,
    description: "The message has another version. `details.current` is its version now."
  },
  RATE_LIMITED: {
    status: 429,
    description:
      "Too many requests. `Retry-After` and `details.retry_after` say when to retry, in seconds; `details.limit` is the number of requests in a `details.window`."
  },
  INTERNAL_ERROR: { status: 500, description: "The hub failed. Its log says why." },
  SERVICE_UNAVAILABLE: {
    status: 503,
    description:
      "The database refuses, the hub stops, or it has no place for another reader. Retry after `Retry-After`, if present."
  }
} as const

/** The code of an error. */
export type ErrorCode = keyof typeof errors

/** The body of every error response; also of one whose code this version does not know. */
export const ErrorBody = Schema.Struct({
  /** A text for people. */
  error: Schema.String,
  code: Schema.String,
  details: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})
export type ErrorBody = typeof ErrorBody.Type

const fields = <const Code extends ErrorCode>(code: Code) => ({
  ...ErrorBody.fields,
  code: Schema.tag(code)
})

const annotations = (code: ErrorCode) => {
  const { status: httpApiStatus, description } = errors[code]
  return { httpApiStatus, description }
}

export class InvalidInput extends Schema.TaggedError<InvalidInput>("@agentlip/protocol/InvalidInput")(
  "INVALID_INPUT",
  fields("INVALID_INPUT"),
  annotations("INVALID_INPUT")
) {}

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>(
  "@agentlip/protocol/PayloadTooLarge"
)("PAYLOAD_TOO_LARGE", fields("PAYLOAD_TOO_LARGE"), annotations("PAYLOAD_TOO_LARGE")) {}

export class CrossChannelMove extends Schema.TaggedError<CrossChannelMove>(
  "@agentlip/protocol/CrossChannelMove"
)("CROSS_CHANNEL_MOVE", fields("CROSS_CHANNEL_MOVE"), annotations("CROSS_CHANNEL_MOVE")) {}

export class MissingAuth extends Schema.TaggedError<MissingAuth>("@agentlip/protocol/MissingAuth")(
  "MISSING_AUTH",
  fields("MISSING_AUTH"),
  annotations("MISSING_AUTH")
) {}

export class InvalidAuth extends Schema.TaggedError<InvalidAuth>("@agentlip/protocol/InvalidAuth")(
  "INVALID_AUTH",
  fields("INVALID_AUTH"),
  annotations("INVALID_AUTH")
) {}

export class Forbidden extends Schema.TaggedError<Forbidden>("@agentlip/protocol/Forbidden")(
  "FORBIDDEN",
  fields("FORBIDDEN"),
  annotations("FORBIDDEN")
) {}

export class NotFound extends Schema.TaggedError<NotFound>("@agentlip/protocol/NotFound")(
  "NOT_FOUND",
  fields("NOT_FOUND"),
  annotations("NOT_FOUND")
) {}

export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>(
  "@agentlip/protocol/MethodNotAllowed"
)("METHOD_NOT_ALLOWED", fields("METHOD_NOT_ALLOWED"), annotations("METHOD_NOT_ALLOWED")) {}

/** `details.current` is the version the message has. */
export class VersionConflict extends Schema.TaggedError<VersionConflict>(
  "@agentlip/protocol/VersionConflict"
)(
  "VERSION_CONFLICT",
  { ...fields("VERSION_CONFLICT"), details: Schema.Struct({ current: Schema.Int }) },
  annotations("VERSION_CONFLICT")
) {}

export class RateLimited extends Schema.TaggedError<RateLimited>("@agentlip/protocol/RateLimited")(
  "RATE_LIMITED",
  fields("RATE_LIMITED"),
  annotations("RATE_LIMITED")
) {}

export class InternalError extends Schema.TaggedError<InternalError>("@agentlip/protocol/InternalError")(
  "INTERNAL_ERROR",
  fields("INTERNAL_ERROR"),
  annotations("INTERNAL_ERROR")
) {}

export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>(
  "@agentlip/protocol/ServiceUnavailable"
)("SERVICE_UNAVAILABLE", fields("SERVICE_UNAVAILABLE"), annotations("SERVICE_UNAVAILABLE")) {}

export const notFound = (what: string, id: string): NotFound =>
  new NotFound({ error: `There is no ${what} with the id ${JSON.stringify(id)}` })
