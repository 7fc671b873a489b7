/** Explains who can read from the hub. */
export const readersText = (readAuth: boolean): string =>
  readAuth
    ? "Reads need the token, which the owner of .agentlip/ has."
    : "Reads are open to every local user; readAuth: true in the config, or up with --read-auth, asks for the token."
