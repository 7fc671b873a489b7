/** Quotes texts for a shell, as the hub's command line does: its own is not in this package. */

const escaped = (character: string): string => {
  const code = (character.codePointAt(0) ?? 0).toString(16)
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`
}

/**
 * Quotes a text unless a shell reads it as one plain word. Characters that a terminal would act on, or not show, are
 * escaped.
 */
export const shellWord = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text)
    ? text
    : `'${text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped).replaceAll("'", "'\\''")}'`
