/** Explains who can read from the hub. */
export const readersText = (readAuth: boolean): string =>
  readAuth
    ? "Reads need the token, which the owner of .agentlip/ has."
    : "Reads are open to every local user. To require the token, set readAuth: true in the config, or pass --read-auth to agentlip up."
