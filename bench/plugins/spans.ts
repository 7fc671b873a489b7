// The work that every contender does: find the words that look like links, answer spans.
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "spans",
  version: "1.0.0",
  enrich: ({ message }) =>
    [...message.content_raw.matchAll(/https?:\S+/g)].map((match) => ({
      kind: "url",
      span: { start: match.index, end: match.index + match[0].length },
      data: { url: match[0] }
    }))
})
