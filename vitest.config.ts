import * as os from "node:os"
import * as path from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/LongestFirst.ts"

const condition = "@agentlip/source"

// The same few files, in hundreds of processes that tests start: they are compiled once.
process.env["NODE_COMPILE_CACHE"] ??= path.join(os.tmpdir(), "agentlip-tests-compiled")

const everything = "{test,protocol/test,client/test,plugins/test,hub/test}/**/*.test.ts"

/**
 * What takes more than `npm test` has, and shows little that its other files do not: the rogues on every other level
 * and their controls, attacks on the host itself, whole programs that start, end and are killed. `npm run test:rest`
 * runs these.
 */
const long = [
  "test/Bun",
  "test/isolates/BetweenRuns",
  "test/isolates/Exit",
  "test/isolates/HostRobustness",
  "test/isolates/LargeValues",
  "test/isolates/Orphans",
  "test/isolates/WasmAttacks",
  "test/isolates/WorkingDirectory",
  "test/isolates/watch/Flood",
  "test/isolates/watch/HostPauses",
  "test/isolates/watch/LogFlood",
  "test/modules/KeptVersions",
  "test/modules/LargeImports",
  "test/modules/ModuleContainment",
  "test/net/FetchFlood",
  "test/net/HostTime",
  "test/zoo/ZooControls",
  "test/zoo/ZooFresh",
  "test/zoo/ZooProcess",
  "test/zoo/ZooWasm",
  "hub/test/CliProcess",
  "hub/test/Connections",
  "hub/test/ConsoleMessages",
  "hub/test/ConsoleNewcomer",
  "hub/test/ConsolePage",
  "hub/test/ConsolePlugins",
  "hub/test/Crash",
  "hub/test/DatabaseFile",
  "hub/test/Kill",
  "hub/test/LifeCycle",
  "hub/test/LiveClock",
  "hub/test/Main",
  "hub/test/ManySockets",
  "hub/test/OfflineKilled",
  "hub/test/PluginWatch",
  "hub/test/Reads",
  "hub/test/SafeFiles",
  "hub/test/Secrets",
  "hub/test/SharedBreaker",
  "hub/test/Shutdown",
  "hub/test/StorageFailures",
  "hub/test/Terminal",
  "hub/test/Up",
  "hub/test/WriterLock"
].map((name) => `${name}.test.ts`)

/** What uses a database, once more, on the server that `scripts/with-postgres.sh` starts. */
const onPostgres = {
  extends: true as const,
  test: {
    name: "PostgreSQL",
    include: ["hub/test/**/*.test.ts", "test/Staleness.test.ts"],
    // Of SQLite's own client and file, or of no database at all: of its server, its page, its processes and its commands.
    exclude: [
      "Backup",
      "CalledAs",
      "CliProcess",
      "ConsoleAccess",
      "ConsoleMessages",
      "ConsoleNewcomer",
      "ConsolePage",
      "ConsolePlugins",
      "ConsoleTexts",
      "DatabaseFile",
      "Discovery",
      "ExitCodes",
      "Feed",
      "IdleShutdown",
      "Ids",
      "Integrity",
      "Kill",
      "LifeCycle",
      "LoadReport",
      "Main",
      "Offline",
      "OfflineKilled",
      "PluginCheck",
      "PluginInspect",
      "PluginRun",
      "PluginWatch",
      "RateLimit",
      "Reload",
      "SafeFiles",
      "Scrape",
      "Secrets",
      "SharedBreaker",
      "Shutdown",
      "Sqlite",
      "StorageFailures",
      "Terminal",
      "Underline",
      "Up",
      "V1Migration",
      "WriterLock",
      "fuzz/Restore"
    ].map((name) => `hub/test/${name}.test.ts`),
    env: { AGENTLIP_TEST_DATABASE: "PostgreSQL" }
  }
}

export default defineConfig({
  resolve: { conditions: [condition] },
  ssr: { resolve: { conditions: [condition, "module", "node", "development|production"] } },
  test: {
    projects: [
      { extends: true, test: { name: "main", include: [everything], exclude: long } },
      { extends: true, test: { name: "long", include: long } },
      ...(process.env["AGENTLIP_TEST_POSTGRES"] ? [onPostgres] : [])
    ],
    globalSetup: ["test/support/build.ts"],
    // A process per file: a rogue that takes its host down takes one file with it, never the run.
    pool: "forks",
    // Tests wait for isolates and processes about as long as they work; Vitest's own choice on two cores is one.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    execArgv: [`--conditions=${condition}`],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // What runs side by side in a file waits for processes and clocks.
    maxConcurrency: 12
  }
})
