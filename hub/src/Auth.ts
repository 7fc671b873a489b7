/** The hub's bearer token: made at start-up, compared in constant time, shown to nobody. */
import { Context, Effect, Layer, Redacted } from "effect"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { Authorization } from "./Api.ts"
import { InvalidAuth, MissingAuth } from "./ApiErrors.ts"

export class AuthToken extends Context.Service<AuthToken, Redacted.Redacted<string>>()(
  "@agentlip/hub/AuthToken"
) {
  /** A new token of 256 random bits. */
  static readonly layer: Layer.Layer<AuthToken> = Layer.sync(AuthToken, () =>
    Redacted.make(randomBytes(32).toString("hex"), { label: "auth_token" })
  )
}

/** Digests are of one length, so that the comparison tells nothing about the token's. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

export const AuthorizationLive: Layer.Layer<Authorization, never, AuthToken> = Layer.effect(
  Authorization,
  Effect.map(AuthToken, (token) => {
    const expected = digest(Redacted.value(token))
    return Authorization.of({
      bearer: (handler, { credential }) => {
        const given = Redacted.value(credential)
        if (given === "") {
          return Effect.fail(
            new MissingAuth({ error: "This needs the header Authorization: Bearer <token>" })
          )
        }
        return timingSafeEqual(digest(given), expected)
          ? handler
          : Effect.fail(new InvalidAuth({ error: "The token is not this hub's" }))
      }
    })
  })
)
