/** Rogues that say more than anybody can keep. */
import { files, hanging, type Rogue } from "./rogue.ts"

export const logs: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "floods" }, ["log-flood", "log-stdout-flood", "log-one-line"]),
  ...files("ts", { expect: "OK", harm: { none: "it is the terminal that it would harm" } }, ["log-hostile"]),
  ...files("ts", { expect: "OK", harm: "floods" }, ["log-stderr-natively"]),
  ...files("ts", { expect: "OK", harm: "floods" }, ["log-as-it-loads"]),
  ...files(
    "ts",
    {
      expect: "WORKER_CRASH",
      says: /limits\.messageRate/,
      limits: { messageRate: 1_000, logLines: 1_000_000, logLength: 100_000_000 },
      harm: "floods"
    },
    ["log-rate"]
  ),
  ...files("ts", { expect: "TIMEOUT", timeout: hanging, harm: "hangs" }, ["log-inspect-loop"]),
  ...files("ts", { expect: ["TIMEOUT", "WORKER_CRASH"], timeout: 500, ownHost: true, harm: "hangs" }, [
    "log-format-bomb"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "it is the terminal that it would harm" } }, ["log-odd-bytes"])
]
