/** One file for each shipped plugin, with all that it needs. */
import * as fs from "node:fs"
import { defineConfig } from "rolldown"

const names = fs
  .readdirSync(new URL("./src/", import.meta.url))
  .flatMap((file) => /^(.+-(?:linkifier|extractor))\.ts$/.exec(file)?.[1] ?? [])

export default defineConfig(
  names.map((name) => ({
    input: `src/${name}.ts`,
    platform: "neutral",
    resolve: { conditionNames: ["@agentlip/source", "import", "default"], mainFields: ["module", "main"] },
    output: { file: `dist/${name}.js`, format: "esm", codeSplitting: false }
  }))
)
