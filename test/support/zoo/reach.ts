/** Rogues that reach for files, servers, variables, programs and the engine. */
import { files, type Rogue } from "./rogue.ts"

export const reach: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", harm: "reaches" }, [
    "fs-read-token",
    "fs-probe",
    "fs-probe-commonjs",
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
  ...files("mjs", { expect: "LOAD_ERROR", says: /"net"/, harm: "reaches" }, ["net-static"]),
  ...files("ts", { expect: "OK", harm: "reaches" }, [
    "system-limits",
    "system-walk",
    "cpu-thread-pool",
    "engine-v8-flags"
  ]),
  ...files("ts", { expect: "OK", harm: "plants" }, ["system-programs", "engine-snapshot", "fs-write-itself"]),
  ...files("ts", { expect: "OK", harm: { none: "no thread may become another user, or go elsewhere" } }, [
    "system-user"
  ]),
  ...files(
    "ts",
    {
      expect: "OK",
      grants: ({ plugins }) => ({ read: [`${plugins}/innocent`] }),
      on: { wasm: { expect: "LOAD_ERROR", says: /grants\.read/ } },
      harm: "reaches"
    },
    ["fs-granted-escape"]
  ),
  // The bare host's own reads wait in the thread pool too: it cannot even end.
  ...files(
    "ts",
    {
      expect: "OK",
      grants: ({ pipes }) => ({ read: [pipes], write: [pipes] }),
      on: { wasm: { expect: "LOAD_ERROR", says: /grants\.read/ } },
      harm: "hangs"
    },
    ["fs-pipe"]
  ),
  ...files("ts", { expect: "OK", spec: { enforcement: "audit" }, harm: "reaches" }, [
    "audit-hub-folder",
    "audit-swap",
    "audit-env"
  ]),
  ...files("ts", { expect: "OK", spec: { enforcement: "audit" }, harm: "plants" }, ["audit-hub-write"])
]
