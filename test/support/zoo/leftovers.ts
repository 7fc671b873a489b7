/** Rogues that leave things behind for whoever comes next. */
import { files, type Rogue } from "./rogue.ts"

export const leftovers: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "persists" }, ["leftover-timer", "leftover-global"]),
  ...files("ts", { expect: "OK", harm: { none: "a bare worker that is never used again shows nothing" } }, [
    "leftover-immediate",
    "leftover-spin",
    "leftover-console"
  ]),
  // It ruins its own isolate, under its own next run; what that run makes of it is its own affair.
  ...files(
    "ts",
    { expect: ["OK", "EXECUTION_ERROR", "INVALID_OUTPUT", "WORKER_CRASH"], harm: { none: "its own ruin" } },
    ["leftover-prototype"]
  ),
  ...files("ts", { expect: "OK", harm: { none: "a bare worker that is never used again shows nothing" } }, [
    "leftover-unref-timer",
    "leftover-wait-async",
    "leftover-finalizers"
  ]),
  ...files(
    "ts",
    {
      expect: "OK",
      grants: ({ bait }) => ({ net: [bait] }),
      harm: { none: "what is left is the host's to see" }
    },
    ["leftover-fetch"]
  )
]
