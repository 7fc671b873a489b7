/** The layers of the library: what imports what, and that the linter and docs/architecture.md say the same. */
import { assert, describe, it } from "vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import {
  architectureFile,
  architecturePage,
  committedConfig,
  importsOf,
  layeredFiles,
  layers,
  lintConfig,
  violations
} from "../scripts/layers.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const page = fs.readFileSync(architectureFile, "utf8")

describe("The layers", () => {
  it("are a list in which each imports earlier ones only", () => {
    const names = layers.map(({ name }) => name)
    for (const [at, { name, mayImport }] of layers.entries()) {
      for (const other of mayImport) assert.include(names.slice(0, at), other, `what "${name}" may import`)
    }
  })

  it("hold every source file, and no file imports what its layer may not", () => {
    assert.deepStrictEqual(violations(), [])
  })

  it("see imports in all their forms", () => {
    assert.include(importsOf("src/Runtime.ts"), "src/WorkerLayer.ts")
    assert.include(importsOf("src/isolates/levels/IsolateFactory.ts"), "src/Capabilities.ts", "of types")
    assert.isAbove(layeredFiles.flatMap(importsOf).length, 500)
  })

  it("are the linter's rules: npm run generate:layers", () => {
    assert.deepStrictEqual(committedConfig(), JSON.parse(JSON.stringify(lintConfig())))
  })

  it("are the table in docs/architecture.md: npm run generate:layers", () => {
    assert.strictEqual(page, architecturePage())
  })
})

describe("docs/architecture.md", () => {
  const places = [...page.matchAll(/`([\w/.-]+\.ts)(?::(\w+))?`/g)]

  it("names places in the code", () => {
    assert.isAbove(places.filter(([, , name]) => name !== undefined).length, 40)
  })

  for (const [place, file = "", name] of places) {
    it(`${place} exists`, () => {
      const source = fs.readFileSync(`${root}${file}`, "utf8")
      if (name === undefined) return
      // A declaration, or a method or field of a class.
      const declared = new RegExp(
        `^export (?:const|class|interface|type) ${name}\\b|^(?:const|class|interface|type) ${name}\\b|^  (?:  )?(?:(?:static|readonly|get|async|const) )*#?${name}(?:\\(|<| =|:)`,
        "m"
      )
      assert.match(source, declared)
    })
  }
})
