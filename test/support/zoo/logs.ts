/** Rogues that say more than anybody can keep. */
import { files, hanging, type Rogue } from "./rogue.ts"

/** What looks like lines of the host's log, or is not seen at all; how it comes, and what becomes of it. */
const forgedLines = (
  [
    ["log", "OK"],
    ["log hidden", "OK"],
    ["throws", "EXECUTION_ERROR"],
    ["throws hidden name", "EXECUTION_ERROR"],
    ["throws name", "EXECUTION_ERROR"],
    ["rejects", "EXECUTION_ERROR"],
    ["answers", "INVALID_OUTPUT"]
  ] as const
).map(
  ([ask, expect]): Rogue => ({
    name: `log-forged-lines: ${ask}`,
    file: "log-forged-lines.ts",
    ask,
    expect,
    // What a bare host prints of it are lines of the plugin's.
    harm: { none: "it is who reads the log that it would harm; the suite looks at each line" }
  })
)

export const logs: ReadonlyArray<Rogue> = [
  ...forgedLines,
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
