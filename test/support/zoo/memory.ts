/** Rogues that take memory. */
import { files, type Rogue } from "./rogue.ts"

const overMemory = /memory/

/** What a process makes of whoever takes more than its limit, heap or not. */
const held = { expect: "WORKER_CRASH", says: /limits\.memory/, timeout: 5_000 } as const

/** Taken by the watch, or the engine: memory that every level counts, soon at its limit on a busy machine too. */
const counted = {
  expect: "WORKER_CRASH",
  says: overMemory,
  limits: { memory: 32 },
  ownHost: true,
  harm: "grows"
} as const

/** Ended by the deadline at the latest. */
const ended = {
  expect: ["WORKER_CRASH", "TIMEOUT"],
  limits: { memory: 64 },
  timeout: 1_500,
  ownHost: true,
  harm: "grows"
} as const

export const memory: ReadonlyArray<Rogue> = [
  ...files("ts", counted, [
    "mem-heap",
    "mem-map",
    "mem-strings",
    "mem-array-buffer",
    "mem-resizable-buffer",
    "mem-buffer",
    "mem-async-ticks"
  ]),
  ...files("mjs", counted, ["mem-at-import"]),
  // What the watch cannot see on every Node, and a loop V8 does not interrupt: the deadline ends these at the
  // latest, and docs/security.md names them.
  ...files("ts", { ...ended, timeout: 1_000, on: { process: held } }, [
    "mem-small-arrays",
    "mem-shared-array-buffer",
    "mem-wasm"
  ]),
  ...files("ts", { expect: ["WORKER_CRASH", "TIMEOUT"], timeout: 1_000, ownHost: true, harm: "grows" }, [
    "mem-import-specifier"
  ]),
  // Made and gone between two looks of the watch, or caught by it.
  ...files("ts", { expect: ["INVALID_OUTPUT", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-answer"
  ]),
  ...files("ts", { expect: ["EXECUTION_ERROR", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-thrown"
  ]),
  ...files("ts", { ...ended, on: { process: held } }, [
    "mem-json-parse",
    "mem-timers",
    "mem-symbols",
    "mem-wasm-table",
    "mem-streams",
    "mem-slowly",
    "mem-random-bytes"
  ]),
  // Native objects: the engine sees little of them, the process all. Not every level and Node has them.
  ...files("ts", { ...ended, expect: ["WORKER_CRASH", "TIMEOUT", "EXECUTION_ERROR"], timeout: 8_000 }, [
    "mem-intl",
    "mem-temporal",
    "mem-text-decoders"
  ]),
  // Code is slow to make: the deadline may come first.
  ...files("ts", ended, ["mem-functions"]),
  // One text that is more than its heap may be; V8 may refuse it, or end.
  ...files("ts", { ...ended, expect: ["WORKER_CRASH", "TIMEOUT", "EXECUTION_ERROR"] }, [
    "mem-spread",
    "mem-stringify"
  ]),
  // Addresses are no memory: there are no more of them to be had at some time, and that is all.
  ...files(
    "ts",
    {
      expect: ["WORKER_CRASH", "TIMEOUT", "EXECUTION_ERROR"],
      timeout: 1_500,
      ownHost: true,
      harm: { none: "a bare worker runs out of addresses, and goes on" }
    },
    ["mem-many-maps"]
  )
]
