import { defineConfig } from "vitest/config"

const condition = "@agentlip/source"

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
    execArgv: [`--conditions=${condition}`],
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})
