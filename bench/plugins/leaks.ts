// Keeps a mebibyte of every run, until its isolate is ended for it.
import { linkifier } from "@agentlip/plugin-runtime/plugin"

const kept: Array<Array<number>> = []

export default linkifier({
  name: "leaks",
  version: "1.0.0",
  enrich: () => {
    kept.push(Array.from({ length: 128 * 1024 }, (_, index) => index + 0.5))
    return []
  }
})
