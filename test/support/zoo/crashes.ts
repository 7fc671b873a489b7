/** Rogues that end their isolate, or try to end more. */
import { files, type Rogue } from "./rogue.ts"

export const crashes: ReadonlyArray<Rogue> = [
  ...[0, 1, 13, -1].map(
    (code): Rogue => ({
      name: `crash-exit ${code}`,
      file: "crash-exit.ts",
      config: { code },
      expect: "WORKER_CRASH",
      harm: "dies"
    })
  ),
  ...files("ts", { expect: "WORKER_CRASH", harm: "dies" }, [
    "crash-exit-next-tick",
    "crash-uncaught-timer",
    "crash-unhandled-rejection",
    "crash-unhandled-null",
    "crash-uncaught-hostile",
    "crash-emit-throws"
  ]),
  ...files("ts", { expect: "WORKER_CRASH", harm: "hangs" }, ["crash-exit-handler-loop"]),
  ...files("mjs", { expect: "WORKER_CRASH", harm: "dies" }, ["crash-exit-at-load", "crash-reject-at-load"]),
  ...files(
    "ts",
    { expect: "EXECUTION_ERROR", says: /RangeError/, harm: { none: "its own stack is all it overflows" } },
    ["crash-stack-overflow"]
  ),
  ...files("ts", { expect: "OK", ownHost: true, harm: "dies" }, ["crash-kill"]),
  ...files("ts", { expect: "OK", harm: "dies" }, [
    "crash-throw-after-reply",
    "crash-reject-after-reply",
    "crash-exit-after-reply"
  ])
]
