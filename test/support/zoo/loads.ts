/** Rogues that cannot be loaded, or lie about themselves while they are. */
import { hostileModules } from "../hostileModules.ts"
import { files, hanging, type Rogue } from "./rogue.ts"

const harmlessLoad = { none: "a plugin that does not load harms nobody but itself" }

/** Hostile by its files alone. */
const byFiles = (
  name: keyof typeof hostileModules,
  says: RegExp,
  harm: Rogue["harm"],
  more: Partial<Rogue> = {}
): Rogue => ({
  name: `load-${name}`,
  file: `hostile/${hostileModules[name]}`,
  expect: "LOAD_ERROR",
  says,
  harm,
  ...more
})

const endless: Partial<Rogue> = { expect: "TIMEOUT", timeout: hanging }

export const loads: ReadonlyArray<Rogue> = [
  byFiles("fifoManifest", /it is a FIFO/, "hangs"),
  byFiles("zeroManifest", /it is a device/, "grows"),
  byFiles("hugeManifest", /1048576 are allowed/, "grows"),
  byFiles("fifoDependency", /it is a FIFO/, "hangs"),
  byFiles("zeroDependency", /it is a device/, "grows"),
  byFiles("hugeDependency", /1048576 are allowed/, "grows"),
  byFiles("fifoEntry", /it is a FIFO/, "hangs"),
  byFiles("fifoModule", /it is a FIFO/, "hangs"),
  byFiles("zeroModule", /outside the plugin's folder/, "grows"),
  byFiles("hugeModule", /16777216 are allowed/, "grows"),
  byFiles("exponential", /still loading/, "hangs", endless),
  byFiles("exponentialDependency", /still loading/, "hangs", endless),
  byFiles("nested", /the TypeScript compiler gave up/, "dies"),
  byFiles("hugeTypeScript", /4194304 are allowed/, "grows"),
  byFiles("nestedManifest", /Maximum call stack size exceeded/, {
    none: "a bare host resolves it; only the hub's loader must not run out of stack"
  }),
  byFiles("outsideExports", /Invalid "exports" target/, { none: "Node's own resolver refuses it too" }),
  byFiles(
    "manyTypeScript",
    /not those its integrity was made from/,
    { none: "a bare host loads them, and hashes nothing" },
    {
      spec: { integrity: `sha256-${"A".repeat(43)}=` }
    }
  ),
  byFiles("deepChain", /Maximum call stack size exceeded|still loading/, "dies", {
    expect: ["LOAD_ERROR", "TIMEOUT"],
    // The host answers a request for each of its thousands of modules.
    hostTime: 1_500
  }),
  byFiles("outsideMain", /outside the plugin's folder/, "reaches"),
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
  ),
  ...files("ts", { expect: "LOAD_ERROR", harm: harmlessLoad }, [
    "load-capabilities-throws",
    "load-capabilities-proxy",
    "load-capabilities-huge",
    "load-capabilities-shape"
  ]),
  ...files("ts", { expect: "LOAD_ERROR", says: /grants/, harm: harmlessLoad }, ["load-capabilities-ask"]),
  ...files("ts", { expect: "TIMEOUT", says: /still loading/, timeout: hanging, harm: harmlessLoad }, [
    "load-capabilities-endless"
  ]),
  // Whatever it says, nothing is granted by it.
  ...files("ts", { expect: ["OK", "LOAD_ERROR"], harm: harmlessLoad }, ["load-capabilities-shift"]),
  ...files("ts", { expect: "OK", harm: { none: "a bare host asks for no name" } }, ["load-name-hostile"]),
  ...files("mjs", { expect: ["TIMEOUT", "WORKER_CRASH"], timeout: 1_000, hostTime: 1_500, harm: "hangs" }, [
    "load-many-modules"
  ])
]
