/** Refusals of what a plugin was not granted. */

/** An error that Node's own permission errors look like, so that a plugin may handle both alike. */
export const denied = (what: string, remedy: string): Error =>
  Object.assign(new Error(`Access denied: ${what}. ${remedy}`), { code: "ERR_ACCESS_DENIED" })
