// Never answers, never yields.
export default {
  name: "spins",
  version: "1.0.0",
  enrich: () => {
    for (;;) {
      // Spinning is the point.
    }
  }
}
