/** Shoots at the process that started it: the hub. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "kills-parent",
  version: "1.0.0",
  enrich: () => {
    process.kill(process.ppid, "SIGKILL")
    return []
  }
})
