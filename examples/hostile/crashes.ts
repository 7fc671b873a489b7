/** Throws outside the call, where an ordinary process would come down with it. */
import { extractor } from "@agentlip/plugin-runtime/plugin"

export default extractor({
  name: "crashes",
  version: "1.0.0",
  extract: () => {
    setTimeout(() => {
      throw new Error("nobody can catch this")
    })
    return new Promise(() => {})
  }
})
