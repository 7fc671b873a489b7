/** Fills V8's heap until something dies. In the hub's own process that would be the hub. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "hoards-heap",
  version: "1.0.0",
  enrich: ({ message }) => {
    const hoard: Array<ReadonlyArray<object>> = []
    while (message.id !== "") hoard.push(Array.from({ length: 1_000 }, (_, at) => ({ at })))
    return []
  }
})
