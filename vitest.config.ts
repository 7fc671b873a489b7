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
    execArgv: [`--conditions=${condition}`],
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})
