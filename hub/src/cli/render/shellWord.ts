/** Quotes texts for a shell. */
import { printable } from "@agentlip/plugin-runtime/text"

/** Quotes a text unless a shell reads it as one plain word. */
export const shellWord = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
