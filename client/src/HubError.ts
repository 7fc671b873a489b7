/** A call failed: the hub refused it, or could not be reached. */
export class HubError extends Error {
  /** For `Effect.catchTag`. */
  readonly _tag = "HubError"
  override readonly name = "HubError"
  /**
   * The hub's code, such as `NOT_FOUND`, or one of the client's:
   *
   * - `HUB_NOT_RUNNING`: the workspace has no `server.json`, or a stale one.
   * - `UNREACHABLE`: no response, or the connection was lost.
   * - `NOT_A_HUB`: the response is not a hub's.
   * - `NOT_THE_HUB`: the server did not prove that it knows the token.
   * - `OTHER_DATABASE`: the hub came back with another database, so events cannot be resumed.
   * - `UNSAFE_FILE`: `server.json` belongs to another user, or is not a regular file.
   * - `NOT_STARTED`: the hub that was to be started did not start.
   */
  readonly code: string
  /** What happened, without what to do about it, for programs that know better how their users start a hub. */
  readonly problem: string
  /** The HTTP status of the response; 0 if the error does not come from a response. */
  readonly status: number
  readonly details: { readonly [key: string]: unknown } | undefined

  /** The message is the problem and, if there is one, the remedy. */
  constructor(
    problem: string,
    given: {
      readonly code: string
      /** What to do about it. */
      readonly remedy?: string
      readonly status: number
      readonly details?: { readonly [key: string]: unknown }
      readonly cause?: unknown
    }
  ) {
    super(
      given.remedy === undefined ? problem : `${problem}. ${given.remedy}`,
      given.cause === undefined ? undefined : { cause: given.cause }
    )
    this.problem = problem
    this.code = given.code
    this.status = given.status
    this.details = given.details
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

/** Reads the error in a response's body. */
export const refusalIn = (status: number, text: string): HubError => {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // The body is not JSON, so the response is not a hub's.
  }
  if (isObject(body) && typeof body["error"] === "string" && typeof body["code"] === "string") {
    const { error, code, details } = body
    return new HubError(error, { code, status, ...(isObject(details) ? { details } : {}) })
  }
  return notAHub(status)
}

/** The error for a response that is not a hub's. */
export const notAHub = (status: number, cause?: unknown): HubError =>
  new HubError(`The server that answered with status ${status} is not a hub`, {
    code: "NOT_A_HUB",
    status,
    cause
  })

export const unreachable = (url: string, cause: unknown): HubError =>
  new HubError(`No hub answers at ${url}`, {
    code: "UNREACHABLE",
    remedy: "Start it in its workspace: agentlip up",
    status: 0,
    cause
  })
