/**
 * Proves that a hub knows the token in `server.json`, before a client sends it that token or a message. After a crash,
 * another user's process could take the port and imitate `/health`.
 *
 * **Details**: the client sends a random challenge and the hub returns an HMAC of it, keyed with the token. The HMAC
 * covers instance and process too, so a proof from another hub does not match.
 */
import { type Claim, proofText } from "@agentlip/protocol/Proof"
import { createHmac } from "node:crypto"

/** HMAC-SHA256 of the claim's text, in hex. */
export const proofOf = (token: string, claim: Claim): string =>
  createHmac("sha256", token).update(proofText(claim)).digest("hex")
