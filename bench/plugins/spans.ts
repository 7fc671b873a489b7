import { linkifier } from "@agentlip/plugin-runtime/plugin"
import { links } from "./links.mjs"

export default linkifier({
  name: "spans",
  version: "1.0.0",
  enrich: ({ message }) => links(message.content_raw)
})
