/** Gives every error response the shape `{error, code, details?}` in JSON. */
import { ByteSize, Cause, Clock, Effect, type Layer, SchemaIssue } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type HttpApiError, HttpApiMiddleware } from "effect/http-api"
import { SqlError } from "effect/sql"
import { type ErrorCode, errors, InvalidInput, Validation } from "@agentlip/protocol"
import { storageFailure } from "../database/StorageFailure.ts"
import { requestIdOf } from "./RequestId.ts"

/** Fits a message of 64 KiB with every character escaped. */
const maxBodySize = ByteSize.fromInputUnsafe("1 MiB")

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const segmentText = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === "object" ? segment.key : segment)

const invalidInput = ({ kind, cause }: HttpApiError.HttpApiSchemaError): InvalidInput => {
  const issues = formatIssues(cause.issue).issues.map(({ path, message }) => ({
    path: (path ?? []).map(segmentText).join("."),
    message
  }))
  const [first] = issues
  const where = first === undefined || first.path === "" ? kind.toLowerCase() : first.path
  return new InvalidInput({
    error: `${where}: ${first?.message ?? "is not valid"}`,
    details: { part: kind.toLowerCase(), issues }
  })
}

export const ValidationLive: Layer.Layer<Validation> = HttpApiMiddleware.layerSchemaErrorTransform(
  Validation,
  // Errors in the hub's own responses are defects, not invalid input.
  (error) =>
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.die(error)
      : Effect.fail(invalidInput(error))
)

type Details = { readonly [name: string]: string | number }

/** The body of an error response, for errors that no handler of the API fails with. */
export const errorBody = (code: ErrorCode, error: string, details?: Details) => ({
  _tag: code,
  error,
  code,
  ...(details === undefined ? {} : { details })
})

/** An error response in the protocol's format. */
export const refusal = (
  code: ErrorCode,
  error: string,
  options: {
    /** Default: the code's status. */
    readonly status?: number
    readonly headers?: { readonly [name: string]: string }
    readonly details?: Details
  } = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(errorBody(code, error, options.details), {
    status: options.status ?? errors[code].status,
    headers: options.headers ?? {}
  })

const byStatus = (status: number, text: string | undefined): HttpServerResponse.HttpServerResponse => {
  switch (status) {
    case 400:
    case 415:
      return refusal("INVALID_INPUT", text ?? "The request cannot be read")
    case 404:
    case 405:
      return refusal("NOT_FOUND", "There is nothing at this method and path")
    case 413:
      return refusal("PAYLOAD_TOO_LARGE", "The request's body is too large")
    case 499:
    case 503:
      return refusal("SERVICE_UNAVAILABLE", "The hub is busy or stopping; try again")
    default:
      return refusal("INTERNAL_ERROR", "The hub failed; its log says why")
  }
}

/** PostgreSQL rejects texts with U+0000, in any part of the request. */
const isNoText = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some(
    (reason) =>
      Cause.isDieReason(reason) &&
      reason.defect instanceof SqlError.SqlError &&
      reason.defect.reason.cause instanceof Error &&
      "code" in reason.defect.reason.cause &&
      reason.defect.reason.cause.code === "22021"
  )

/** A lasting failure would log a line per request, so the same line is logged only once in this time. */
const quietMillis = 10_000

type Say = (failure: string, log: (more: string) => Effect.Effect<void>) => Effect.Effect<void>

/** Logs a failure unless it was logged a moment ago. The next line says how many were skipped. */
const makeSay = (): Say => {
  const failures = new Map<string, { until: number; leftOut: number }>()
  return (failure, log) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const known = failures.get(failure)
      if (known !== undefined && now < known.until && now >= known.until - quietMillis) {
        known.leftOut++
        return Effect.void
      }
      // Usually there are few different failures, but their number must be bounded.
      if (failures.size >= 100) failures.clear()
      failures.set(failure, { until: now + quietMillis, leftOut: 0 })
      const leftOut = known?.leftOut ?? 0
      return log(leftOut === 0 ? "" : ` (and ${leftOut} times more since the last line)`)
    })
}

/** Logs that the database accepts requests again: when a write succeeds after one was refused. */
class Refusals {
  #since = false

  readonly begin = (): void => {
    this.#since = true
  }

  readonly noteAccepted = ({
    status
  }: HttpServerResponse.HttpServerResponse): Effect.Effect<
    void,
    never,
    HttpServerRequest.HttpServerRequest
  > =>
    this.#since && status < 300
      ? Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) => {
          // Many reads need no database, so they say nothing about it.
          if (method === "GET") return Effect.void
          this.#since = false
          return Effect.logInfo("requests are accepted again")
        })
      : Effect.void
}

const ofCause = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>, say: Say, refusals: Refusals) {
  const storage = storageFailure(cause)
  if (storage !== undefined) {
    refusals.begin()
    yield* say(storage.text, (more) => Effect.logWarning(`request refused: ${storage.text}${more}`))
    return refusal("SERVICE_UNAVAILABLE", storage.text, {
      headers: { "retry-after": String(storage.retryAfter) }
    })
  }
  if (isNoText(cause)) return byStatus(400, "The request has the character U+0000")
  const [{ status }] = yield* HttpServerError.causeResponse(cause)
  if (status < 500) return byStatus(status, undefined)
  const request_id = requestIdOf(yield* HttpServerRequest.HttpServerRequest)
  // Keyed by the error, so that a different failure is logged at once.
  yield* say(String(Cause.squash(cause)), (more) =>
    Effect.annotateLogs(Effect.logError(`request failed${more}`, cause), { request_id })
  )
  return HttpServerResponse.setHeader(byStatus(status, undefined), "x-request-id", request_id)
})

/** The text of a response body, if it is in memory as a whole. */
export const bodyText = ({ body }: HttpServerResponse.HttpServerResponse): string | undefined =>
  body._tag === "Uint8Array" && body.body.length > 0 ? new TextDecoder().decode(body.body) : undefined

const isJson = ({ body }: HttpServerResponse.HttpServerResponse): boolean =>
  body._tag === "Uint8Array" && body.contentType.startsWith("application/json")

type Answered = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/** Returns a wrapper that converts every error of a handler to the protocol's format. */
export const make: Effect.Effect<Answered> = Effect.sync(() => {
  const say = makeSay()
  const refusals = new Refusals()
  const answered: Answered = (handler) =>
    handler.pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, maxBodySize),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : ofCause(cause, say, refusals)
      ),
      Effect.tap(refusals.noteAccepted),
      Effect.map((response) =>
        response.status < 400 || isJson(response) ? response : byStatus(response.status, bodyText(response))
      )
    )
  return answered
})
