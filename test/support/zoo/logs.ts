/** Rogues that say more than anybody can keep. */
import { files, type Rogue } from "./rogue.ts"

export const logs: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "floods" }, ["log-flood", "log-stdout-flood", "log-one-line"]),
  ...files("ts", { expect: "OK", harm: { none: "it is the terminal that it would harm" } }, ["log-hostile"])
]
