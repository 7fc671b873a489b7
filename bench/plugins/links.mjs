// The work that every contender does: find what looks like a link, answer spans. Plain JavaScript: nobody is to pay
// for types that others have stripped for them.
export const links = (text) =>
  [...text.matchAll(/https?:\S+/g)].map((match) => ({
    kind: "url",
    span: { start: match.index, end: match.index + match[0].length },
    data: { url: match[0] }
  }))
