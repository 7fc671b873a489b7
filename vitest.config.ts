import * as os from "node:os"
import * as path from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/LongestFirst.ts"

const condition = "@agentlip/source"

// The same few files, in hundreds of processes that tests start: they are compiled once.
process.env["NODE_COMPILE_CACHE"] ??= path.join(os.tmpdir(), "agentlip-tests-compiled")

export default defineConfig({
  resolve: { conditions: [condition] },
  ssr: { resolve: { conditions: [condition, "module", "node", "development|production"] } },
  test: {
    include: ["{test,plugins/test,hub/test}/**/*.test.ts"],
    globalSetup: ["test/support/buildGuest.ts"],
    // A process per file: a rogue that takes its host down takes one file with it, never the run.
    pool: "forks",
    // Tests wait for isolates more than they work; Vitest's own choice on two cores is one.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    execArgv: [`--conditions=${condition}`],
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})
