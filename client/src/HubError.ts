/** A call that the hub refused, or that did not reach it. */
export class HubError extends Error {
  override readonly name = "HubError"
  /** The hub's code, such as `NOT_FOUND`. `UNREACHABLE`: nothing answered. `NOT_A_HUB`: something else did. */
  readonly code: string
  /** The HTTP status; 0 if nothing answered. */
  readonly status: number
  readonly details: { readonly [key: string]: unknown } | undefined

  constructor(
    message: string,
    given: {
      readonly code: string
      readonly status: number
      readonly details?: { readonly [key: string]: unknown }
      readonly cause?: unknown
    }
  ) {
    super(message, given.cause === undefined ? undefined : { cause: given.cause })
    this.code = given.code
    this.status = given.status
    this.details = given.details
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

/** The refusal in a response's body. */
export const refusalIn = (status: number, text: string): HubError => {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // Not JSON: not a hub's.
  }
  if (isObject(body) && typeof body["error"] === "string" && typeof body["code"] === "string") {
    const { error, code, details } = body
    return new HubError(error, { code, status, ...(isObject(details) ? { details } : {}) })
  }
  return new HubError(`What answered with status ${status} is not an Agentlip hub`, {
    code: "NOT_A_HUB",
    status
  })
}

export const unreachable = (url: string, cause: unknown): HubError =>
  new HubError(`No hub answers at ${url}. Start it: agentlip up`, { code: "UNREACHABLE", status: 0, cause })
