/** Rogues that let others work for them, or burn what they have. */
import { files, hanging, type Rogue } from "./rogue.ts"

export const work: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "WORKER_CRASH", says: /limits\.cpu/, limits: { cpu: 300 }, harm: "hangs" }, [
    "cpu-spin",
    "cpu-slices"
  ]),
  ...files("ts", { expect: ["TIMEOUT", "WORKER_CRASH"], timeout: hanging, ownHost: true, harm: "hangs" }, [
    "cpu-compile"
  ]),
  ...files(
    "ts",
    {
      expect: "WORKER_CRASH",
      says: /more than 500 requests for modules that cannot be loaded/,
      hostTime: 600,
      harm: "hangs"
    },
    ["cpu-failing-imports"]
  )
]
