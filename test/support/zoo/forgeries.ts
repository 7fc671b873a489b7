/** Rogues that answer in the runtime's stead. */
import { files, hanging, type Rogue } from "./rogue.ts"

export const forgeries: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "forges" }, [
    "forge-hybrid-dispatch",
    "forge-json",
    "forge-object-setters",
    "forge-active-handles",
    "forge-message-port"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "await looks at no patched method" } }, ["forge-promise"]),
  ...files("ts", { expect: "OK", harm: "reaches" }, [
    "forge-worker-threads",
    "forge-require",
    "forge-module-internals",
    "forge-post-message",
    "forge-real-process"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "a bare worker's own code uses none of what it patches" } }, [
    "forge-strings",
    "forge-reflect",
    "forge-globals",
    "forge-allowlist",
    "forge-cloned-handle",
    "forge-transfer-symbols"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "promises settle once, in any host" } }, [
    "forge-thenable-twice"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "what Node has on the stack is strict, and hides itself" } }, [
    "forge-callsites"
  ]),
  ...files("ts", { expect: "INVALID_OUTPUT", harm: { none: "JSON is written without a list's methods" } }, [
    "forge-arrays"
  ]),
  ...files("ts", { expect: "INVALID_OUTPUT", harm: "forges" }, ["forge-object-tojson"]),
  ...files("ts", { expect: "TIMEOUT", timeout: hanging, harm: "hangs" }, ["forge-object-then"]),
  ...files("ts", { expect: "TIMEOUT", timeout: hanging, harm: "forges" }, ["forge-late-reply"]),
  ...files("ts", { expect: "OK", bare: "process", harm: "forges" }, [
    "forge-descriptors",
    "forge-stdout-line"
  ]),
  ...files("ts", { expect: "EXECUTION_ERROR", bare: "process", harm: "forges" }, ["forge-line-feeds"]),
  ...files("ts", { expect: "OK", bare: "process", harm: "hangs" }, ["forge-half-line"]),
  ...files("ts", { expect: "OK", harm: { none: "Node has nailed down what its streams go by" } }, [
    "forge-destroyed"
  ]),
  ...files("ts", { expect: "OK", bare: "process", harm: "reaches" }, ["forge-stdin"]),
  // The second time they are asked they say what they have overheard.
  ...files("ts", { expect: "OK", bare: "process", harm: "persists" }, [
    "forge-stream-methods",
    "forge-buffer-methods",
    "forge-typed-arrays"
  ]),
  ...["longer", "shorter"].map(
    (ask): Rogue => ({
      name: `forge-lying-lengths ${ask}`,
      file: "forge-lying-lengths.ts",
      ask,
      expect: "OK",
      harm: { none: "Node's own code asks past what it patches" }
    })
  ),
  ...files("ts", { expect: "OK", harm: "connects" }, ["forge-net-messages"]),
  ...files("ts", { expect: "OK", harm: { none: "Node's own code asks no species, pool or stack" } }, [
    "forge-species",
    "forge-buffer-pool"
  ]),
  ...files(
    "ts",
    {
      expect: "OK",
      harm: { none: "what Node has on the stack is strict, and hides itself" }
    },
    ["forge-stack-traces"]
  ),
  ...files("ts", { expect: "OK", harm: { none: "it is the host's loader that it would confuse" } }, [
    "forge-module-requests"
  ])
]
