/** Takes memory outside of V8's heap, where V8's own limits do not count it. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "hoards-memory",
  version: "1.0.0",
  enrich: ({ message }) => {
    const hoard: Array<Uint8Array> = []
    while (message.id !== "") hoard.push(new Uint8Array(16 * 1024 * 1024).fill(1))
    return []
  }
})
