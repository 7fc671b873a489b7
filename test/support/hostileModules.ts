/**
 * Plugins that are hostile by their files alone: what keeps whoever reads, resolves or compiles them busy for good, or
 * fills its memory. Each is an entry, relative to the folder they are made in.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export const hostileModules = {
  fifoManifest: "fifo-manifest/plugin.js",
  zeroManifest: "zero-manifest/plugin.js",
  hugeManifest: "huge-manifest/plugin.js",
  fifoDependency: "fifo-dependency/plugin.mjs",
  zeroDependency: "zero-dependency/plugin.mjs",
  hugeDependency: "huge-dependency/plugin.mjs",
  fifoEntry: "fifo-entry/plugin.mjs",
  fifoModule: "fifo-module/plugin.mjs",
  zeroModule: "zero-module/plugin.mjs",
  hugeModule: "huge-module/plugin.mjs",
  hugeTypeScript: "huge-typescript/plugin.ts",
  exponential: "exponential/plugin.ts",
  exponentialDependency: "exponential-dependency/plugin.ts",
  nested: "nested/plugin.ts",
  outsideMain: "outside-main/plugin.cjs",
  outsideExports: "outside-exports/plugin.cjs",
  nestedManifest: "nested-manifest/plugin.mjs",
  deepChain: "deep-chain/plugin.mjs",
  manyTypeScript: "many-typescript/plugin.ts"
} as const

/** Folders of thousands of files. */
export const numerousFolders = ["deep-chain", "many-typescript"] as const

const plugin = (data = "{}"): string =>
  `export default { name: "hostile", version: "1.0.0", enrich: () => [{ kind: "report", span: { start: 0, end: 1 }, data: ${data} }] }\n`

/** A few hundred bytes that take the compiler years: each level is tried in two ways, one within the other. */
const exponential = `const f = ${"async <T>(a = ".repeat(40)}1${")".repeat(40)}\n`

const deep = 100_000
/** Of a size that is only on paper. */
const huge = 700 * 1024 * 1024

/** Makes them; `outside` is a JSON file that none of them may read. Without `numerous`, those of thousands of files are left out. */
export const makeHostileModules = (root: string, outside: string, numerous = true): void => {
  const write = (file: string, text: string): string => {
    const full = path.join(root, file)
    fs.mkdirSync(path.dirname(full), { recursive: true })
    fs.writeFileSync(full, text)
    return full
  }
  const make = (file: string): string => {
    const full = path.join(root, file)
    fs.mkdirSync(path.dirname(full), { recursive: true })
    return full
  }
  const fifo = (file: string): void => void execFileSync("mkfifo", [make(file)])
  const zero = (file: string): void => fs.symlinkSync("/dev/zero", make(file))
  const sparse = (file: string): void => {
    const full = make(file)
    fs.writeFileSync(full, "")
    fs.truncateSync(full, huge)
  }
  const { entries } = Object
  const withDependency = `import "dependency"\n${plugin()}`

  for (const [kind, of] of entries({ fifo, zero, huge: sparse })) {
    write(`${kind}-manifest/plugin.js`, plugin())
    of(`${kind}-manifest/package.json`)
    write(`${kind}-dependency/plugin.mjs`, withDependency)
    write(`${kind}-dependency/node_modules/dependency/index.js`, "")
    of(`${kind}-dependency/node_modules/dependency/package.json`)
    write(`${kind}-module/plugin.mjs`, `import "./part.mjs"\n${plugin()}`)
    of(`${kind}-module/part.mjs`)
  }
  fifo("fifo-entry/plugin.mjs")
  write("huge-typescript/plugin.ts", `${"let a: number = 1\n".repeat(300_000)}${plugin()}`)
  write("exponential/plugin.ts", exponential + plugin())
  write("exponential-dependency/plugin.ts", `import "./part.ts"\n${plugin()}`)
  write("exponential-dependency/part.ts", exponential)
  write("nested/plugin.ts", `const f: unknown = ${"[".repeat(deep)}${"]".repeat(deep)}\n${plugin()}`)

  const read = `const { secret } = require("dependency")\n`
  const relative = path.relative(path.join(root, "outside-main/node_modules/dependency"), outside)
  for (const kind of ["outside-main", "outside-exports"]) {
    write(
      `${kind}/plugin.cjs`,
      read + plugin("{ got: [secret] }").replace("export default", "module.exports =")
    )
    const fields = kind === "outside-main" ? { main: relative } : { exports: `./${relative}` }
    write(`${kind}/node_modules/dependency/package.json`, JSON.stringify({ name: "dependency", ...fields }))
  }
  write("nested-manifest/plugin.mjs", withDependency)
  write("nested-manifest/node_modules/dependency/index.js", "")
  write(
    "nested-manifest/node_modules/dependency/package.json",
    `{"name":"dependency","exports":${'{"node":'.repeat(20_000)}"./index.js"${"}".repeat(20_000)}}`
  )

  if (!numerous) return
  write("deep-chain/plugin.mjs", `import "./part0.mjs"\n${plugin()}`)
  for (let index = 0; index < 6_000; index++) {
    write(`deep-chain/part${index}.mjs`, `import "./part${index + 1}.mjs"`)
  }
  write("deep-chain/part6000.mjs", "for (;;);")
  const parts = Array.from({ length: 1_000 }, (_, index) => `import "./part${index}.ts"`)
  write("many-typescript/plugin.ts", `${parts.join("\n")}\n${plugin()}`)
  const filler = Array.from(
    { length: 40 },
    (_, index) => `export const f${index} = (a: number): number => a\n`
  )
  for (const index of parts.keys())
    write(`many-typescript/part${index}.ts`, `// ${index}\n${filler.join("")}`)
}
