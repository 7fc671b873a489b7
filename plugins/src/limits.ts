/** The most findings that a hub accepts from one run. A message with more gets the first of them instead of an error. */
export const maxItems = 1_000
