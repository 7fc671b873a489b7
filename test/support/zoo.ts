/**
 * The zoo: every rogue plugin, what the runtime must make of it, and what it does to a host that trusts it
 * (its positive control: a rogue that harms nobody would prove nothing).
 */
import type { PluginErrorCode } from "../../src/Errors.ts"
import type { Limits } from "../../src/Plugin.ts"

export type Code = PluginErrorCode | "OK"

/** What a host suffers that imports the rogue into a bare worker and takes its word. */
export type Harm =
  /** No answer. */
  | "hangs"
  /** The worker, or the whole process, is gone. */
  | "dies"
  /** It reports to have got what it was after. */
  | "reaches"
  /** The server was reached. */
  | "connects"
  /** A file was made or changed. */
  | "plants"
  /** A value came that is no output of its kind. */
  | "lies"
  /** A value came that the plugin's method did not answer. */
  | "forges"
  /** Its memory is all that stops it. */
  | "grows"
  /** More output than anybody can keep. */
  | "floods"
  /** Its next run finds what an earlier one left. */
  | "persists"
  /** None to be shown, and why. */
  | { readonly none: string }

export interface Rogue {
  readonly name: string
  /** In test/fixtures/rogues. */
  readonly file: string
  readonly config?: Readonly<Record<string, unknown>>
  /** What it is asked, where that decides what it does. */
  readonly ask?: string
  /** More than one only where either is right. */
  readonly expect: Code | ReadonlyArray<Code>
  /** What the error says. */
  readonly says?: RegExp
  /** Milliseconds. */
  readonly timeout?: number
  readonly limits?: Partial<Limits>
  /** How it is not held yet: the suite expects it to fail, and says so once it no longer does. */
  readonly open?: string
  /** Could take its host down with it: runs in a host of its own. */
  readonly ownHost?: true
  readonly harm: Harm
}

const files = (
  extension: string,
  shared: Omit<Rogue, "name" | "file">,
  names: ReadonlyArray<string>
): Array<Rogue> => names.map((name) => ({ name, file: `${name}.${extension}`, ...shared }))

const hanging = 250

const liveness: ReadonlyArray<Rogue> = [
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
  ...files("ts", { expect: ["TIMEOUT", "WORKER_CRASH"], timeout: 1500, ownHost: true, harm: "hangs" }, [
    "liveness-sort"
  ])
]

const crashes: ReadonlyArray<Rogue> = [
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

const harmlessLoad = { none: "a plugin that does not load harms nobody but itself" }
const loads: ReadonlyArray<Rogue> = [
  ...files("mjs", { expect: "LOAD_ERROR", harm: harmlessLoad }, [
    "load-syntax",
    "load-throws",
    "load-throws-null",
    "load-throws-proxy",
    "load-default-proxy"
  ]),
  ...files("ts", { expect: "LOAD_ERROR", harm: harmlessLoad }, [
    "load-no-default",
    "load-wrong-method",
    "load-default-null",
    "load-config-throws",
    "load-config-hostile-issues"
  ]),
  ...files("ts", { expect: "LOAD_ERROR", says: /config\.port: never good enough/, harm: harmlessLoad }, [
    "load-config-refused"
  ]),
  ...files("mjs", { expect: "LOAD_ERROR", says: /a-package-that-nobody-has-installed/, harm: harmlessLoad }, [
    "load-missing-dependency"
  ]),
  ...["net", "worker_threads", "child_process"].map(
    (module): Rogue => ({
      name: `load-static-${module}`,
      file: `load-static-${module}.mjs`,
      expect: "LOAD_ERROR",
      says: new RegExp(module),
      harm: "reaches"
    })
  )
]

const overMemory = /memory/
const memory: ReadonlyArray<Rogue> = [
  ...files(
    "ts",
    { expect: "WORKER_CRASH", says: overMemory, limits: { memory: 64 }, ownHost: true, harm: "grows" },
    [
      "mem-heap",
      "mem-map",
      "mem-strings",
      "mem-array-buffer",
      "mem-resizable-buffer",
      "mem-buffer",
      "mem-async-ticks"
    ]
  ),
  ...files(
    "mjs",
    { expect: "WORKER_CRASH", says: overMemory, limits: { memory: 64 }, ownHost: true, harm: "grows" },
    ["mem-at-import"]
  ),
  // What the watch cannot see on every Node, and a loop V8 does not interrupt: the deadline ends these at the
  // latest, and docs/security.md names them.
  ...files(
    "ts",
    {
      expect: ["WORKER_CRASH", "TIMEOUT"],
      limits: { memory: 64 },
      timeout: 1_000,
      ownHost: true,
      harm: "grows"
    },
    ["mem-small-arrays", "mem-shared-array-buffer", "mem-wasm"]
  ),
  ...files("ts", { expect: ["WORKER_CRASH", "TIMEOUT"], timeout: 1_000, ownHost: true, harm: "grows" }, [
    "mem-import-specifier"
  ]),
  // Made and gone between two looks of the watch, or caught by it.
  ...files("ts", { expect: ["INVALID_OUTPUT", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-answer"
  ]),
  ...files("ts", { expect: ["EXECUTION_ERROR", "WORKER_CRASH"], ownHost: true, harm: "grows" }, [
    "mem-thrown"
  ])
]

const forgeries: ReadonlyArray<Rogue> = [
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
    "forge-cloned-handle"
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
  ...files("ts", { expect: "TIMEOUT", timeout: hanging, harm: "forges" }, ["forge-late-reply"])
]

const leftovers: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "persists" }, ["leftover-timer", "leftover-global"]),
  ...files("ts", { expect: "OK", harm: { none: "a bare worker that is never used again shows nothing" } }, [
    "leftover-immediate",
    "leftover-spin",
    "leftover-console"
  ]),
  // It ruins its own isolate, under its own next run; what that run makes of it is its own affair.
  ...files(
    "ts",
    { expect: ["OK", "EXECUTION_ERROR", "INVALID_OUTPUT", "WORKER_CRASH"], harm: { none: "its own ruin" } },
    ["leftover-prototype"]
  )
]

const logs: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "floods" }, ["log-flood", "log-stdout-flood", "log-one-line"]),
  ...files("ts", { expect: "OK", harm: { none: "it is the terminal that it would harm" } }, ["log-hostile"])
]

const badValues: ReadonlyArray<string> = [
  "undefined",
  "null",
  "number",
  "string",
  "object",
  "function",
  "symbol",
  "promises",
  "start after end",
  "empty span",
  "negative start",
  "end past the message",
  "huge end",
  "float start",
  "NaN start",
  "infinite end",
  "text span",
  "null span",
  "no span",
  "blank kind",
  "number kind",
  "no kind",
  "array data",
  "null data",
  "text data",
  "date data",
  "item null",
  "item array",
  "item date",
  "sparse array",
  "1001 items",
  "over 1 MiB",
  "over 1 MiB once escaped",
  "65 levels",
  "100,000 levels",
  "__proto__ key",
  "__proto__ key deep down",
  "__proto__ item",
  "toJSON of another shape",
  "raw JSON"
] // prettier-ignore
// JSON itself cannot write these: a bare host would have to live with the error, or without an answer.
const unwritable = [
  "bigint",
  "bigint inside",
  "cyclic",
  "throwing getter",
  "throwing toJSON",
  "revoked proxy"
]
const goodValues = [
  "constructor keys",
  "map as data",
  "getter",
  "toJSON of the right shape",
  "lone surrogate",
  "excess keys",
  "a proxy of a list",
  "null prototype",
  "60 levels",
  "1,000 items"
] // prettier-ignore

const value = (what: string, expect: Rogue["expect"], harm: Harm): Rogue => ({
  name: `output: ${what}`,
  file: "output-values.ts",
  ask: what,
  expect,
  harm
})

const outputs: ReadonlyArray<Rogue> = [
  ...badValues.map((what) => value(what, "INVALID_OUTPUT", "lies")),
  ...unwritable.map((what) => value(what, "INVALID_OUTPUT", "dies")),
  ...goodValues.map((what) => value(what, "OK", { none: "odd, and right" })),
  {
    ...value("array of 2^32-1", ["TIMEOUT", "WORKER_CRASH", "INVALID_OUTPUT"], "dies"),
    timeout: hanging,
    ownHost: true
  },
  ...files(
    "ts",
    { expect: ["INVALID_OUTPUT", "WORKER_CRASH", "TIMEOUT"], timeout: 2000, ownHost: true, harm: "hangs" },
    ["output-bomb"]
  ),
  ...files("ts", { expect: "OK", harm: { none: "JSON looks once" } }, ["output-shifting-getter"]),
  ...files("ts", { expect: "OK", harm: { none: "JSON copies" } }, ["output-shared-memory"])
]

const thrownThings: ReadonlyArray<string> = [
  "error",
  "null",
  "undefined",
  "number",
  "nan",
  "string",
  "symbol",
  "bigint",
  "function",
  "array",
  "null prototype",
  "proxy",
  "revoked proxy",
  "throwing getters",
  "hostile error",
  "frozen error",
  "huge message",
  "huge name",
  "huge stack",
  "control characters",
  "lone surrogate",
  "error with a cause that loops",
  "aggregate",
  "lying error",
  "a thenable"
] // prettier-ignore

const harmlessThrow = { none: "what is shown is that it can be described at all" }
const throws: ReadonlyArray<Rogue> = [
  ...thrownThings.flatMap(
    (what): Array<Rogue> => [
      {
        name: `throws: ${what}`,
        file: "throws.ts",
        ask: what,
        expect: "EXECUTION_ERROR",
        harm: harmlessThrow
      },
      {
        name: `rejects: ${what}`,
        file: "throws.ts",
        ask: `reject ${what}`,
        expect: "EXECUTION_ERROR",
        harm: harmlessThrow
      }
    ]
  ),
  ...files("ts", { expect: "EXECUTION_ERROR", harm: harmlessThrow }, ["throws-after-patching-error"])
]

const reach: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "reaches" }, [
    "fs-read-token",
    "fs-probe",
    "fs-import-token",
    "fs-require-token",
    "fs-symlink",
    "fs-linked-package",
    "fs-outside-import",
    "fs-proc",
    "fs-cwd",
    "fs-descriptors",
    "fs-wasi",
    "net-fetch",
    "net-dns",
    "env-variables",
    "env-report",
    "env-modules",
    "env-globals",
    "builtin-modules",
    "builtin-facades",
    "engine-inspector",
    "engine-v8",
    "engine-vm"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "Node's own file system looks at no patched method" } }, [
    "fs-patched-path-check"
  ]),
  ...files("ts", { expect: "OK", harm: { none: "chdir is refused to every thread; it asks all the same" } }, [
    "fs-chdir"
  ]),
  ...files("ts", { expect: "OK", harm: "plants" }, [
    "fs-write",
    "fs-sqlite",
    "child-process",
    "worker-threads"
  ]),
  ...files("ts", { expect: "OK", harm: "connects" }, ["net-modules"]),
  ...files("ts", { expect: "OK", harm: { none: "Node imports from no server; another runtime might" } }, [
    "net-import"
  ]),
  ...files("mjs", { expect: "LOAD_ERROR", says: /\.agentlip|hub's own folder/, harm: "reaches" }, [
    "fs-static-json"
  ]),
  ...files("mjs", { expect: "LOAD_ERROR", says: /"net"/, harm: "reaches" }, ["net-static"])
]

export const zoo: ReadonlyArray<Rogue> = [
  ...liveness,
  ...crashes,
  ...loads,
  ...memory,
  ...forgeries,
  ...leftovers,
  ...logs,
  ...outputs,
  ...throws,
  ...reach
]
