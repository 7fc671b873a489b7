/**
 * Makes one file of each first code of a guest, from what tsc has written: a spare reads and links one module
 * instead of thirty. ES modules, not CommonJS: there an import of a built-in would be looked up on the module's
 * own object at each use, and some of those objects are a plugin's to change.
 */
import { defineConfig } from "rolldown"

const boot = (name) => ({
  input: `dist/guest/node/${name}.js`,
  platform: "node",
  output: { file: `dist/guest/node/${name}.js`, format: "esm" }
})

export default defineConfig([boot("bootThread"), boot("bootProcess")])
