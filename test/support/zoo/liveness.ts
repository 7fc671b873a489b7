/** Rogues that do not answer in time. */
import { files, hanging, type Rogue } from "./rogue.ts"

export const liveness: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "TIMEOUT", says: /did not answer/, timeout: hanging, harm: "hangs" }, [
    "liveness-sync-loop",
    "liveness-microtask-loop",
    "liveness-nexttick-loop",
    "liveness-immediate-loop",
    "liveness-regex",
    "liveness-never-settles",
    "liveness-atomics-wait",
    "liveness-getter-loop",
    "liveness-tojson-loop",
    "liveness-proxy-loop",
    "liveness-thenable-silent",
    "liveness-thenable-loop",
    "liveness-thenable-chain",
    "liveness-async-iterator",
    "liveness-bigint",
    "liveness-finally-loop",
    "liveness-thrown-getter-loop",
    "liveness-abort-listener-loop"
  ]),
  ...files("mjs", { expect: "TIMEOUT", says: /did not answer/, timeout: hanging, harm: "hangs" }, [
    "liveness-wasm-loop"
  ]),
  ...files(
    "ts",
    {
      expect: "TIMEOUT",
      says: /still loading/,
      timeout: hanging,
      harm: { none: "a bare worker asks for neither" }
    },
    ["liveness-config-schema-loop"]
  ),
  ...files("ts", { expect: "TIMEOUT", says: /still loading/, timeout: hanging, harm: "hangs" }, [
    "liveness-method-getter-loop"
  ]),
  ...files("mjs", { expect: "TIMEOUT", says: /still loading/, timeout: hanging, harm: "hangs" }, [
    "liveness-loop-at-import"
  ]),
  // A bare worker that nothing keeps waiting ends, with exit code 13 or none; it never answers.
  ...files("mjs", { expect: "TIMEOUT", says: /still loading/, timeout: hanging, harm: "dies" }, [
    "liveness-await-at-import",
    "liveness-self-import",
    "liveness-namespace-then"
  ]),
  // An endless list is written until memory, time or the longest possible text ends; whichever comes first.
  ...files(
    "ts",
    { expect: ["TIMEOUT", "WORKER_CRASH", "INVALID_OUTPUT"], timeout: hanging, ownHost: true, harm: "dies" },
    ["liveness-proxy-endless-array"]
  ),
  ...files(
    "ts",
    {
      expect: ["TIMEOUT", "WORKER_CRASH"],
      timeout: 1500,
      ownHost: true,
      // The system refuses it the memory that it would sort, which it can catch, or the watch has seen it.
      on: { process: { expect: ["EXECUTION_ERROR", "WORKER_CRASH"] } },
      harm: "hangs"
    },
    ["liveness-sort"]
  )
]
