/**
 * Makes one file of the first code of each guest, and one of the code inside QuickJS, from what tsc has written: a
 * spare reads and links one module instead of thirty. ES modules, not CommonJS: there an import of a built-in would
 * be looked up on the module's own object at each use, and some of those objects are a plugin's to change.
 */
import { defineConfig } from "rolldown"

const bundle = (name, options) => ({
  input: `dist/guest/${name}.js`,
  platform: "node",
  ...options,
  // Plugins see the names of classes.
  output: { file: `dist/guest/${name}.js`, format: "esm", keepNames: true }
})

export default defineConfig([
  bundle("node/bootThread"),
  bundle("node/bootProcess"),
  bundle("quickjs/bootWasm", { external: [/^(@jitl|quickjs-emscripten)/] }),
  bundle("quickjs/realm", { platform: "neutral" })
])
