/** Finds one thing, and has a lot to say about it. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

const aGigabyte = 1024 * 1024 * 1024

export default linkifier({
  name: "answers-a-gigabyte",
  version: "1.0.0",
  enrich: () => [
    {
      kind: "loot",
      span: { start: 0, end: 1 },
      data: { say: Array.from({ length: 4 }, () => "more ".repeat(aGigabyte / 4 / 5)) }
    }
  ]
})
