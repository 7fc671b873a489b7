/** What a hub accepts of one run; a message with more findings gets the first of them rather than an error. */
export const maxItems = 1_000
