/**
 * Requires request bodies to be text: JSON in UTF-8, with well-formed Unicode in every string. Otherwise, the stored
 * text would differ from what was sent, or the database would reject it.
 */
import { TextBody, InvalidInput } from "@agentlip/protocol"
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"

const invalid = (error: string) => new InvalidInput({ error, details: { part: "body" } })

/** The problem with a body's content type, if there is one. */
const typeProblem = (contentType: string | undefined): string | undefined => {
  if (contentType === undefined) return "Content-Type: must be application/json"
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType)?.[1]
  return charset === undefined || /^utf-?8$/i.test(charset)
    ? undefined
    : "Content-Type: the charset must be utf-8"
}

const textProblem = (text: string): string | undefined => {
  if (!text.isWellFormed()) return "has half of a surrogate pair, which is no character"
  return text.includes("\u0000") ? "has the character U+0000" : undefined
}

/** The first string in a JSON value that cannot be stored: its place and the reason. */
const problemIn = (value: unknown, path: string): string | undefined => {
  if (typeof value === "string") {
    const problem = textProblem(value)
    return problem === undefined ? undefined : `${path === "" ? "the body" : path}: ${problem}`
  }
  if (typeof value !== "object" || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const keyProblem = Array.isArray(value) ? undefined : textProblem(key)
    if (keyProblem !== undefined) return `${path === "" ? "the body" : path}: a key ${keyProblem}`
    const problem = problemIn(item, path === "" ? key : `${path}.${key}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** In valid UTF-8, only an escape can produce a lone surrogate or U+0000. So bodies without `\u` need no check. */
const escapeProblem = (bytes: Buffer): string | undefined => {
  if (!bytes.includes("\\u")) return undefined
  try {
    return problemIn(JSON.parse(bytes.toString()), "")
  } catch {
    // Invalid JSON, or nested too deep: the decoder reports it.
    return undefined
  }
}

export const TextBodyLive: Layer.Layer<TextBody> = Layer.succeed(
  TextBody,
  TextBody.of((handler) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const bytes = Buffer.from(yield* Effect.orDie(request.arrayBuffer))
      // The body is empty: the decoder reports it if one is needed.
      if (bytes.length === 0) return yield* handler
      const problem =
        typeProblem(request.headers["content-type"]) ??
        (isUtf8(bytes) ? escapeProblem(bytes) : "the body is not valid UTF-8")
      return yield* problem === undefined ? handler : invalid(problem)
    })
  )
)
