/**
 * Makes one file of the first code of each guest, and one of the code inside QuickJS, from what tsc has written: a
 * spare reads one file instead of thirty.
 *
 * Threads and processes start a CommonJS script, which saves a tenth of their boot or more: Node links no modules, and
 * `getBuiltinModule` does not read every member of a built-in, as an import does. The members that are used are read once,
 * at the start. A bundler's own `require` would read them from the module at each use, and plugins can change some
 * modules.
 */
import { compileFunction } from "node:vm"
import { defineConfig } from "rolldown"

/** As rolldown writes it: `* as a`, `a`, `{ a, b as c }` or `a, { b }`. */
const builtinImport = /^import (?:(?:\* as )?(\w+))?(?:, )?(\{.+\})? from "(node:[\w/]+)";$/gm

const asScript = {
  name: "as-script",
  renderChunk: (code) => {
    const captured = code
      .replace(builtinImport, (line, whole, members, name) => {
        // It would be read as a member, which a built-in does not have.
        if (/\bdefault\b/.test(members ?? "")) throw new Error(`Write this as an import of a name: ${line}`)
        return [whole, members?.replaceAll(" as ", ": ")]
          .filter((target) => target !== undefined)
          .map((target) => `const ${target} = nodeBuiltin("${name}");`)
          .join("\n")
      })
      .replace(/^export \{\s*\};?$/m, "")
    const script = `"use strict";\nconst { getBuiltinModule: nodeBuiltin } = process;\n${captured}`
    // Fails on what only a module may have.
    compileFunction(script, ["exports", "require", "module", "__filename", "__dirname"])
    return script
  }
}

const bundle = (name, { extension = "js", ...options } = {}) => ({
  input: `dist/guest/${name}.js`,
  platform: "node",
  ...options,
  // Plugins see the names of classes.
  output: { file: `dist/guest/${name}.${extension}`, format: "esm", keepNames: true }
})

const script = (name) => bundle(name, { extension: "cjs", plugins: [asScript] })

export default defineConfig([
  script("node/loadThread"),
  script("node/bootThread"),
  script("node/bootProcess"),
  bundle("quickjs/bootWasm", { external: [/^(@jitl|quickjs-emscripten)/] }),
  bundle("quickjs/realm", { platform: "neutral" })
])
