/** Leaves without an answer, and says that all is well. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "exits",
  version: "1.0.0",
  enrich: () => process.exit(0)
})
