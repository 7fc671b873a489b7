/** Texts as words of a shell. */
import { printable } from "@agentlip/plugin-runtime/text"

/** Quotes a text if a shell would read it as something else than one word. */
export const shellWord = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
