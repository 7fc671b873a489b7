/** A plugin that does nothing. If it loads, its level works on this machine. */
export default { name: "probe", version: "1.0.0", enrich: () => [] }
