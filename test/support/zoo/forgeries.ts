/** Rogues that answer in the runtime's stead. */
import { files, hanging, type Rogue } from "./rogue.ts"

export const forgeries: ReadonlyArray<Rogue> = [
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
