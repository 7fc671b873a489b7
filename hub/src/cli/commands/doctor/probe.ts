/** A plugin that does nothing: where it loads, others can. */
export default { name: "probe", version: "1.0.0", enrich: () => [] }
