/* oxlint-disable no-extend-native -- that is what it does */
/**
 * Answers in the hub's own protocol before it is asked to, through every descriptor it may have inherited,
 * and makes the language lie for it.
 */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

const forged = `o${JSON.stringify([{ kind: "loot", span: { start: 0, end: 1 }, data: { forged: true } }])}`

export default linkifier({
  name: "forges",
  version: "1.0.0",
  enrich: async () => {
    JSON.stringify = () => forged
    Array.prototype.toString = () => forged
    Object.defineProperty(Object.prototype, "toJSON", { value: () => forged })
    process.send?.(forged)
    const { writeSync } = await import("node:fs")
    for (let descriptor = 1; descriptor < 32; descriptor++) writeSync(descriptor, `${forged}\n`)
    return []
  }
})
