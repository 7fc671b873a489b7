/** What isolation "wasm" does not have, and the rogues that are about it: there they are told so, and no more. */
const absent: { readonly [what: string]: ReadonlyArray<string> } = {
  Atomics: ["liveness-atomics-wait", "leftover-wait-async"],
  Buffer: [
    "mem-buffer",
    "mem-slowly",
    "forge-buffer-methods",
    "forge-species",
    "forge-buffer-pool",
    "log-stdout-flood"
  ],
  ReadableStream: ["mem-streams", "forge-message-port", "net-fetch-bodies", "net-fetch-upload"],
  WebAssembly: ["liveness-wasm-loop", "mem-wasm", "mem-wasm-table", "cpu-compile"],
  "node:async_hooks": ["builtin-facades"],
  "node:crypto": ["mem-random-bytes"],
  "node:events": [
    "crash-emit-throws",
    "crash-kill-group",
    "crash-kill-parent",
    "crash-abort",
    "crash-kill-others",
    "crash-exit-natively",
    "crash-listeners",
    "forge-real-process",
    "forge-descriptors",
    "forge-stdin",
    "log-stderr-natively",
    "system-limits",
    "engine-v8-flags",
    "system-programs",
    "engine-snapshot",
    "system-user"
  ],
  "node:fs": [
    "fs-read-token",
    "fs-probe",
    "fs-symlink",
    "fs-proc",
    "fs-cwd",
    "fs-descriptors",
    "fs-patched-path-check",
    "fs-chdir",
    "fs-write",
    "system-walk",
    "fs-write-itself",
    "audit-hub-folder",
    "audit-swap",
    "audit-hub-write"
  ],
  "node:module": ["forge-require", "forge-allowlist", "fs-require-token", "builtin-modules"],
  "node:os": ["env-modules"],
  "node:stream": ["forge-destroyed", "forge-stream-methods"],
  "node:string_decoder": ["crash-native-state"],
  // Of V8: JSON.rawJSON, and what says who has called.
  "not a function": [
    "forge-callsites",
    "output: raw JSON",
    "output: raw 1e999",
    "output: raw -1e999 deep down",
    "output: raw number of 400 digits",
    "output: lone surrogate in raw JSON",
    "output: raw -0"
  ]
}

/** What a rogue is told on wasm instead of all else, if it is about something that is not there. */
export const absentOnWasm: ReadonlyMap<string, string> = new Map(
  Object.entries(absent).flatMap(([what, rogues]) => rogues.map((rogue) => [rogue, what] as const))
)
