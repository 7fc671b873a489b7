/** What is asked of requests before their handlers, as the interface declares it. */
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { InvalidAuth, InvalidInput, MissingAuth } from "./Errors.ts"

/** Writes need the token of the hub's `server.json`; reads do not. */
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

/** Answers a write that comes again with the same `Idempotency-Key` as the first time, and does it once. */
export class Idempotency extends HttpApiMiddleware.Service<Idempotency>()("@agentlip/protocol/Idempotency", {
  error: InvalidInput
}) {}

/** Refuses bodies that are not JSON in UTF-8, or have texts that are no well-formed Unicode. */
export class TextBody extends HttpApiMiddleware.Service<TextBody>()("@agentlip/protocol/TextBody", {
  error: InvalidInput
}) {}
