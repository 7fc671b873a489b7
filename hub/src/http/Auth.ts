/** Checks the hub's token, in constant time. */
import { Effect, Layer, Redacted } from "effect"
import type { HttpServerRequest } from "effect/http"
import { createHash, timingSafeEqual } from "node:crypto"
import { Authorization, InvalidAuth, MissingAuth } from "@agentlip/protocol"
import { AuthToken } from "../workspace/AuthToken.ts"

/** Digests have a fixed length, so the comparison reveals nothing about the token's length. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** True if this is the hub's token. Compares in constant time. */
export const isToken = (token: Redacted.Redacted<string>, given: string): boolean =>
  timingSafeEqual(digest(given), digest(Redacted.value(token)))

/** True if the request has the hub's token in its header. */
export const hasToken = (
  { headers }: HttpServerRequest.HttpServerRequest,
  token: Redacted.Redacted<string>
): boolean => {
  const given = /^Bearer +(.*)$/i.exec(headers["authorization"] ?? "")?.[1]
  return given !== undefined && isToken(token, given)
}

/** Fails unless `given` is the hub's token. `where` tells clients where to put it. */
export const check: Effect.Effect<
  (given: string, where: string) => Effect.Effect<void, MissingAuth | InvalidAuth>,
  never,
  AuthToken
> = Effect.map(AuthToken, (token) => (given, where) => {
  if (given === "") return Effect.fail(new MissingAuth({ error: `This needs ${where}` }))
  return isToken(token, given)
    ? Effect.void
    : Effect.fail(new InvalidAuth({ error: "The token is not this hub's" }))
})

export const AuthorizationLive: Layer.Layer<Authorization, never, AuthToken> = Layer.effect(
  Authorization,
  Effect.map(check, (check) =>
    Authorization.of({
      bearer: (handler, { credential }) =>
        Effect.andThen(check(Redacted.value(credential), "the header Authorization: Bearer <token>"), handler)
    })
  )
)
