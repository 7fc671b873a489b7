/** Rogues that go for the heap of their engine. */
import type { Rogue } from "./rogue.ts"

const harm = { none: "an engine without the flaw refuses, or goes on" } as const

export const engine: ReadonlyArray<Rogue> = [
  {
    name: "engine-arrays: callbacks",
    file: "engine-arrays.ts",
    ask: "callbacks",
    // V8 makes the larger ones of these buffers, and comes to its limit.
    levels: ["wasm"],
    expect: "OK",
    harm
  },
  // Threads share their heap's end with their host.
  ...[
    "array length and splice",
    "array splice in",
    "array concat",
    "array fill",
    "array with",
    "array copyWithin",
    "array unshift",
    "array flat",
    "array from length",
    "array join",
    "array spread"
  ].map(
    (what): Rogue => ({
      name: `engine-arrays: ${what}`,
      file: "engine-arrays.ts",
      ask: what,
      levels: ["process", "wasm"],
      expect: ["OK", "WORKER_CRASH", "TIMEOUT"],
      timeout: 600,
      limits: { memory: 32 },
      harm
    })
  )
]
