/**
 * How a hub shows that it has the token of its `server.json`, before a client sends that token or a message to it:
 * after a crash, another user's process can take the port and repeat what `/health` used to say.
 *
 * **Details**: the client sends a random challenge, the hub returns an HMAC of it under the token. Instance and process
 * are part of it, so that an answer passed on from another hub does not fit.
 */
import { type Claim, proofText } from "@agentlip/protocol/Proof"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"

/** A challenge that was never used. */
export const newChallenge = (): string => randomBytes(24).toString("base64url")

/** HMAC-SHA256 in hex of the claim's text. */
export const proofOf = (token: string, claim: Claim): string =>
  createHmac("sha256", token).update(proofText(claim)).digest("hex")

/** Whether a proof is what the holder of the token would say, in the same time wherever it differs. */
export const isProof = (token: string, claim: Claim, proof: string): boolean => {
  const expected = Buffer.from(proofOf(token, claim))
  const given = Buffer.from(proof)
  return given.length === expected.length && timingSafeEqual(given, expected)
}
