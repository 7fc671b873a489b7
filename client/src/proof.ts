/** Checks that a server is the hub, before the token is sent to it. */
import { type Claim, proofText } from "@agentlip/protocol/Proof"
import { HubError, unreachable } from "./HubError.ts"

/** Time limit for the proof, in milliseconds. */
const patience = 5_000

const newChallenge = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, "0")).join(
    ""
  )

/** True if the proof was made with the token. The engine compares in constant time. */
const isProof = async (token: string, claim: Claim, proof: string): Promise<boolean> => {
  if (!/^[0-9a-f]{64}$/.test(proof)) return false
  const bytes = new TextEncoder()
  const algorithm = { name: "HMAC", hash: "SHA-256" }
  const key = await crypto.subtle.importKey("raw", bytes.encode(token), algorithm, false, ["verify"])
  const given = Uint8Array.from(proof.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  return crypto.subtle.verify("HMAC", key, given, bytes.encode(proofText(claim)))
}

/**
 * Rejects with a `HubError` unless the server proves that it knows the token. Sends only a random challenge. Returns the
 * `db_id` of the hub.
 */
export const requireProof = async (
  fetching: typeof fetch,
  url: string,
  token: string,
  instance?: string
): Promise<string | undefined> => {
  const challenge = newChallenge()
  let health: { readonly [key: string]: unknown }
  try {
    const response = await fetching(`${url}/health?challenge=${challenge}`, {
      redirect: "error",
      signal: AbortSignal.timeout(patience)
    })
    const body: unknown = JSON.parse(await response.text())
    health = typeof body === "object" && body !== null ? { ...body } : {}
  } catch (cause) {
    throw unreachable(url, cause)
  }
  const { instance_id, pid, proof, db_id } = health
  if (instance !== undefined && typeof instance_id === "string" && instance_id !== instance) {
    throw new HubError(`The address of the hub is stale: another hub is at ${url}`, {
      code: "HUB_NOT_RUNNING",
      remedy: "Start the hub in its workspace: agentlip up",
      status: 0
    })
  }
  if (
    typeof instance_id === "string" &&
    typeof pid === "number" &&
    typeof proof === "string" &&
    (await isProof(token, { challenge, instance_id, pid }, proof))
  )
    return typeof db_id === "string" ? db_id : undefined
  throw new HubError(
    `The server at ${url} does not prove that it is the hub whose token this is, so it gets no token`,
    {
      code: "NOT_THE_HUB",
      remedy: "Stop the hub of the workspace if it runs, then start it there: agentlip up",
      status: 0,
      details: { proof: typeof proof === "string" ? "wrong" : "missing" }
    }
  )
}
