/* oxlint-disable no-console -- that is what it does */
/** Writes until the disk is full, and tries to paint over the operator's terminal. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "floods-log",
  version: "1.0.0",
  enrich: () => {
    for (let line = 0; line < 100_000; line++)
      console.log(`\u001b[2J\u001b[H all is well ${"!".repeat(1_000)}`)
    return []
  }
})
