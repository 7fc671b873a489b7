/**
 * Bodies are text: JSON in UTF-8, every text in it well-formed Unicode. What is not would be stored as something else
 * than was sent, or by some databases not at all.
 */
import { TextBody, InvalidInput } from "@agentlip/protocol"
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"

const invalid = (error: string) => new InvalidInput({ error, details: { part: "body" } })

/** What is wrong with the type of a body. */
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

/** Where in a JSON value a text is no text that can be kept, and why. */
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

/** Only an escape can bring what UTF-8 cannot hold, or U+0000, into a JSON text. */
const escapeProblem = (bytes: Buffer): string | undefined => {
  if (!bytes.includes("\\u")) return undefined
  try {
    return problemIn(JSON.parse(bytes.toString()), "")
  } catch {
    // No JSON, or nested too deep: the decoder says so.
    return undefined
  }
}

export const TextBodyLive: Layer.Layer<TextBody> = Layer.succeed(
  TextBody,
  TextBody.of((handler) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const bytes = Buffer.from(yield* Effect.orDie(request.arrayBuffer))
      // Without a body the decoder says what is missing, if something is.
      if (bytes.length === 0) return yield* handler
      const problem =
        typeProblem(request.headers["content-type"]) ??
        (isUtf8(bytes) ? escapeProblem(bytes) : "the body is not valid UTF-8")
      return yield* problem === undefined ? handler : invalid(problem)
    })
  )
)
