/** Rogues that go for the heap of their engine. */
import { asked, type Rogue } from "./rogue.ts"

const harm = { none: "an engine without the flaw refuses, or goes on" } as const

export const engine: ReadonlyArray<Rogue> = [
  // V8 makes the larger ones of these buffers, and comes to its limit.
  ...asked("engine-arrays", { levels: ["wasm"], expect: "OK", harm }, ["callbacks"]),
  // Threads share their heap's end with their host.
  ...asked(
    "engine-arrays",
    {
      levels: ["process", "wasm"],
      expect: ["OK", "WORKER_CRASH", "TIMEOUT"],
      timeout: 600,
      limits: { memory: 32 },
      harm
    },
    [
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
    ]
  )
]
