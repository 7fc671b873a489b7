/** What happens to requests before their handlers, as the interface declares it. */
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import {
  Forbidden,
  InternalError,
  InvalidAuth,
  InvalidInput,
  MissingAuth,
  RateLimited,
  ServiceUnavailable
} from "./Errors.ts"

/** Declares the errors that any call can return. `/health` is never limited. */
export class EveryRequest extends HttpApiMiddleware.Service<EveryRequest>()(
  "@agentlip/protocol/EveryRequest",
  { error: [Forbidden, RateLimited, InternalError, ServiceUnavailable] }
) {}

/** Reads need the token only if the hub has `readAuth`; `/health` says so. */
export class ReadAuthorization extends HttpApiMiddleware.Service<ReadAuthorization>()(
  "@agentlip/protocol/ReadAuthorization",
  { error: [MissingAuth, InvalidAuth] }
) {}

/** Writes need the token of the hub's `server.json`. */
export class Authorization extends HttpApiMiddleware.Service<Authorization>()(
  "@agentlip/protocol/Authorization",
  {
    requiredForClient: true,
    security: { bearer: HttpApiSecurity.bearer },
    error: [MissingAuth, InvalidAuth]
  }
) {}

/** Says what is wrong with a request that does not decode. */
export class Validation extends HttpApiMiddleware.Service<Validation>()("@agentlip/protocol/Validation", {
  error: InvalidInput
}) {}

/** Runs a write once. The same `Idempotency-Key` again gets the first response. */
export class Idempotency extends HttpApiMiddleware.Service<Idempotency>()("@agentlip/protocol/Idempotency", {
  error: InvalidInput
}) {}

/** Rejects bodies that are not JSON in UTF-8, or that hold text that is not well-formed Unicode. */
export class TextBody extends HttpApiMiddleware.Service<TextBody>()("@agentlip/protocol/TextBody", {
  error: InvalidInput
}) {}
