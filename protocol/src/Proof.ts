/** What a hub proves in `/health`: that it has the token of its `server.json`. Loads nothing. */

/** What a proof is about; `challenge` is the client's, and never used before. */
export interface Claim {
  readonly challenge: string
  readonly instance_id: string
  readonly pid: number
}

/** The text whose HMAC-SHA256 under the token, in hex, is the proof. */
export const proofText = ({ challenge, instance_id, pid }: Claim): string =>
  ["agentlip-health", challenge, instance_id, pid].join("\n")
