/** Rogues that take memory. */
import { files, type Rogue } from "./rogue.ts"

const overMemory = /memory/
export const memory: ReadonlyArray<Rogue> = [
  ...files(
    "ts",
    { expect: "WORKER_CRASH", says: overMemory, limits: { memory: 64 }, ownHost: true, harm: "grows" },
    [
      "mem-heap",
      "mem-map",
      "mem-strings",
      "mem-array-buffer",
      "mem-resizable-buffer",
      "mem-buffer",
      "mem-async-ticks"
    ]
  ),
  ...files(
    "mjs",
    { expect: "WORKER_CRASH", says: overMemory, limits: { memory: 64 }, ownHost: true, harm: "grows" },
    ["mem-at-import"]
  ),
  // What the watch cannot see on every Node, and a loop V8 does not interrupt: the deadline ends these at the
  // latest, and docs/security.md names them.
  ...files(
    "ts",
    {
      expect: ["WORKER_CRASH", "TIMEOUT"],
      limits: { memory: 64 },
      timeout: 1_000,
      ownHost: true,
      harm: "grows"
    },
    ["mem-small-arrays", "mem-shared-array-buffer", "mem-wasm"]
  ),
  ...files("ts", { expect: ["WORKER_CRASH", "TIMEOUT"], timeout: 1_000, ownHost: true, harm: "grows" }, [
    "mem-import-specifier"
  ]),
  // Made and gone between two looks of the watch, or caught by it.
  ...files("ts", { expect: ["INVALID_OUTPUT", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-answer"
  ]),
  ...files("ts", { expect: ["EXECUTION_ERROR", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-thrown"
  ])
]
