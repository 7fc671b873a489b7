// The same work as bench/plugins/spans.ts, for the pools we are measured beside.
export const enrich = ({ message }) =>
  [...message.content_raw.matchAll(/https?:\S+/g)].map((match) => ({
    kind: "url",
    span: { start: match.index, end: match.index + match[0].length },
    data: { url: match[0] }
  }))

export default enrich
