/** The hub's bearer token. It is created at each start and written only to `server.json`. */
import { Context, Layer, Redacted } from "effect"
import { randomBytes } from "node:crypto"

export class AuthToken extends Context.Service<AuthToken, Redacted.Redacted<string>>()(
  "@agentlip/hub/AuthToken"
) {
  /** A new token of 256 random bits. */
  static readonly layer: Layer.Layer<AuthToken> = Layer.sync(AuthToken, () =>
    Redacted.make(randomBytes(32).toString("hex"), { label: "auth_token" })
  )
}
