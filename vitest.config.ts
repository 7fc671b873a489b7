import * as os from "node:os"
import * as path from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/LongestFirst.ts"

const condition = "@agentlip/source"

// The same few files, in hundreds of processes that tests start: they are compiled once.
process.env["NODE_COMPILE_CACHE"] ??= path.join(os.tmpdir(), "agentlip-tests-compiled")

const everything = "{test,protocol/test,client/test,plugins/test,hub/test}/**/*.test.ts"

/** The hub's tests once more, on the server that `scripts/with-postgres.sh` starts. */
const onPostgres = {
  extends: true as const,
  test: {
    name: "PostgreSQL",
    include: ["hub/test/**/*.test.ts"],
    // Of SQLite's own client and file, or of no database at all: of its server, its page, its processes and its commands.
    exclude: [
      "Backup",
      "CliProcess",
      "ConsoleAccess",
      "ConsolePage",
      "ConsoleTexts",
      "DatabaseFile",
      "Ids",
      "Integrity",
      "Kill",
      "LoadReport",
      "Main",
      "PluginCheck",
      "PluginInspect",
      "PluginRun",
      "RateLimit",
      "Reload",
      "Scrape",
      "SafeFiles",
      "SharedBreaker",
      "Sqlite",
      "StorageFailures",
      "Underline",
      "Up",
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
      { extends: true, test: { name: "main", include: [everything] } },
      ...(process.env["AGENTLIP_TEST_POSTGRES"] ? [onPostgres] : [])
    ],
    globalSetup: ["test/support/build.ts"],
    // A process per file: a rogue that takes its host down takes one file with it, never the run.
    pool: "forks",
    // Tests wait for isolates more than they work; Vitest's own choice on two cores is one.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    execArgv: [`--conditions=${condition}`],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // What runs side by side in a file waits for processes and clocks.
    maxConcurrency: 12
  }
})
