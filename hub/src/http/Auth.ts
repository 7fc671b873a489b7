/** Checks the hub's token, in constant time. */
import { Effect, Layer, Redacted } from "effect"
import type { HttpServerRequest } from "effect/http"
import { timingSafeEqual } from "node:crypto"
import { Authorization, InvalidAuth, MissingAuth } from "@agentlip/protocol"
import { AuthToken } from "../workspace/AuthToken.ts"

/** More bytes than a token and its length need. */
const size = 256

/** The text behind its length, always in the same number of bytes. `undefined` if it is too long for a token. */
const padded = (text: string): Buffer | undefined => {
  const length = Buffer.byteLength(text)
  if (length > size - 2) return undefined
  const bytes = Buffer.alloc(size)
  bytes.writeUInt16LE(length)
  bytes.write(text, 2)
  return bytes
}

/** True if this is the hub's token. Compares in constant time, and does not reveal the token's length. */
export const isToken = (token: Redacted.Redacted<string>, given: string): boolean => {
  const [mine, theirs] = [padded(Redacted.value(token)), padded(given)]
  return mine !== undefined && theirs !== undefined && timingSafeEqual(mine, theirs)
}

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
