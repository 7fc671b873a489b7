/** Rogues that end their isolate, or try to end more. */
import { files, hanging, type Rogue } from "./rogue.ts"

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
  ...["exit", "throw", "reject", "reject at once"].map(
    (how): Rogue => ({
      name: `crash-between-runs: ${how}`,
      file: "crash-between-runs.ts",
      ask: how,
      expect: "OK",
      countsAsFailure: true,
      on: { wasm: { countsAsFailure: false } },
      harm: "dies"
    })
  ),
  ...files("ts", { expect: "OK", ownHost: true, harm: "dies" }, ["crash-kill-group", "crash-kill-parent"]),
  ...files("ts", { expect: "OK", ownHost: true, bare: "process", harm: "dies" }, ["crash-abort"]),
  ...files("ts", { expect: "OK", harm: "reaches" }, ["crash-kill-others"]),
  // There is no such thing to be had, or its native half is out of reach.
  ...[
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
  ].map(
    (what): Rogue => ({
      name: `crash-native-halves: ${what}`,
      file: "crash-native-halves.ts",
      ask: what,
      expect: ["OK", "EXECUTION_ERROR"],
      ownHost: true,
      harm: "dies"
    })
  ),
  ...files("ts", { expect: "OK", ownHost: true, harm: "dies" }, ["crash-native-state"]),
  ...[
    "getRandomValues",
    "randomInt",
    "randomUUID",
    "global randomUUID",
    "randomBytes",
    "writeFile",
    "readFile",
    "readFile into bytes of its own"
  ].map(
    (what): Rogue => ({
      name: `crash-lying-sizes: ${what}`,
      file: "crash-lying-sizes.ts",
      ask: what,
      grants: ({ plugins }) => ({
        read: [`${plugins}/../granted/w`],
        write: [`${plugins}/../granted/w`]
      }),
      // Isolation "wasm" has no files and no node:crypto.
      levels: ["thread", "process"],
      // A size that is a lie may be an error, the plugin's own.
      expect: ["OK", "EXECUTION_ERROR"],
      ownHost: true,
      harm: "dies"
    })
  ),
  ...[
    "slices of bytes that vanish",
    "writes into bytes that vanish",
    "fill of bytes that vanish",
    "fill up to a length that vanishes",
    "toString of bytes that vanish",
    "alloc of bytes that vanish"
  ].map(
    (what): Rogue => ({
      name: `crash-lying-sizes: ${what}`,
      file: "crash-lying-sizes.ts",
      ask: what,
      levels: ["thread", "process"],
      expect: ["OK", "EXECUTION_ERROR"],
      ownHost: true,
      harm: "dies"
    })
  ),
  ...["copy", "copy into bytes that are taken away", "write", "write into bytes that are taken away"].map(
    (what): Rogue => ({
      name: `crash-lying-sizes: ${what}`,
      file: "crash-lying-sizes.ts",
      ask: what,
      levels: ["thread", "process"],
      expect: ["OK", "EXECUTION_ERROR"],
      ownHost: true,
      harm: { none: "Node 26 looks at the true sizes; Node 24 dies of them" }
    })
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
