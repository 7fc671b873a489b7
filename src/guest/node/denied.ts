/**
 * The error for a use that was not granted. It has the code of Node's own permission errors, so plugins handle both
 * alike.
 */
export const denied = (what: string, remedy: string): Error =>
  Object.assign(new Error(`Access denied: ${what}. ${remedy}`), { code: "ERR_ACCESS_DENIED" })
