/** Takes its core and never gives it back. No signal reaches code like this; only the kill does. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "spins",
  version: "1.0.0",
  enrich: ({ message }) => {
    for (let spins = 0; ; spins++) if (message.content_raw.length < 0) return []
  }
})
