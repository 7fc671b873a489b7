/** Rogues that end their isolate, or try to end more. */
import { asked, files, hanging, type Rogue } from "./rogue.ts"

const lying = {
  grants: ({ plugins }) => ({ read: [`${plugins}/../granted/w`], write: [`${plugins}/../granted/w`] }),
  // Isolation "wasm" has no files and no node:crypto.
  levels: ["thread", "process"],
  // A size that is a lie may be an error, the plugin's own.
  expect: ["OK", "EXECUTION_ERROR"],
  ownHost: true
} satisfies Partial<Rogue>

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
    "crash-uncaught-hostile",
    "crash-emit-throws"
  ]),
  ...files("ts", { expect: "WORKER_CRASH", harm: "hangs" }, ["crash-exit-handler-loop"]),
  // QuickJS tells nobody of a rejection that nobody caught: on wasm only what comes of it shows.
  ...files(
    "ts",
    {
      expect: "WORKER_CRASH",
      timeout: 1_000,
      on: { wasm: { expect: "TIMEOUT", timeout: hanging } },
      harm: "dies"
    },
    ["crash-unhandled-rejection", "crash-unhandled-null"]
  ),
  ...files("mjs", { expect: "WORKER_CRASH", on: { wasm: { expect: "OK" } }, harm: "dies" }, [
    "crash-reject-at-load"
  ]),
  ...files("mjs", { expect: "WORKER_CRASH", harm: "dies" }, ["crash-exit-at-load"]),
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
  ]),
  // On wasm nothing of a plugin runs between two runs.
  ...asked(
    "crash-between-runs",
    { expect: "OK", countsAsFailure: true, on: { wasm: { countsAsFailure: false } }, harm: "dies" },
    ["exit", "throw", "reject", "reject at once"]
  ),
  ...files("ts", { expect: "OK", ownHost: true, harm: "dies" }, ["crash-kill-group", "crash-kill-parent"]),
  ...files("ts", { expect: "OK", ownHost: true, bare: "process", harm: "dies" }, ["crash-abort"]),
  ...files("ts", { expect: "OK", harm: "reaches" }, ["crash-kill-others"]),
  // There is no such thing to be had, or its native half is out of reach.
  ...asked("crash-native-halves", { expect: ["OK", "EXECUTION_ERROR"], ownHost: true, harm: "dies" }, [
    "Blob",
    "Blob of a stream",
    "EventEmitterAsyncResource",
    "timer",
    "immediate",
    "timer of a prototype",
    "TextDecoder",
    "StringDecoder",
    "StringDecoder of a stream",
    "StringDecoder's bytes",
    "StringDecoder made of another's"
  ]),
  ...files("ts", { expect: "OK", ownHost: true, harm: "dies" }, ["crash-native-state"]),
  ...asked("crash-lying-sizes", { ...lying, harm: "dies" }, [
    "getRandomValues",
    "randomInt",
    "randomUUID",
    "global randomUUID",
    "randomBytes",
    "writeFile",
    "readFile",
    "readFile into bytes of its own",
    "slices of bytes that vanish",
    "writes into bytes that vanish",
    "fill of bytes that vanish",
    "fill up to a length that vanishes",
    "toString of bytes that vanish",
    "alloc of bytes that vanish"
  ]),
  ...asked(
    "crash-lying-sizes",
    { ...lying, harm: { none: "Node 26 looks at the true sizes; Node 24 dies of them" } },
    ["copy", "copy into bytes that are taken away", "write", "write into bytes that are taken away"]
  ),
  ...files("ts", { expect: "WORKER_CRASH", harm: "dies" }, [
    "crash-exit-natively",
    "crash-throw-endlessly",
    "crash-listeners"
  ]),
  ...[
    "in toJSON",
    "in a getter",
    "in then",
    "in a Proxy",
    "in a constructor",
    "in an error's message",
    "in a microtask"
  ].map(
    (where): Rogue => ({
      name: `crash-exit ${where}`,
      file: "crash-exit-anywhere.ts",
      ask: where,
      expect: "WORKER_CRASH",
      harm: "dies"
    })
  ),
  ...files("ts", { expect: "OK", harm: { none: "only its own answer shrinks" } }, ["crash-resizable-answer"])
]
